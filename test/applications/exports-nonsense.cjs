// Exports something that cannot be served, and leaves nothing to wait for.
'use strict'
module.exports = { start() {}, stop() {} }
