// What a compiler makes of `export default listener`.
'use strict'
Object.defineProperty(exports, '__esModule', { value: true })
exports.default = require('./answers.cjs').answersOf('cjs-compiled-default')
