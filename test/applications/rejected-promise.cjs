// Exports a Promise that fails.
'use strict'
module.exports = connect()

async function connect() {
  throw new Error('no granary at 127.0.0.1')
}
