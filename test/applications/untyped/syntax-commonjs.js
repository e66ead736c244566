// No "type" in package.json: CommonJS by its syntax.
const { answersOf } = require('../answers.cjs')

module.exports = require.main === module ? answersOf('syntax-commonjs') : null
