/** `next start`, whose arguments an INI cannot give. */
process.chdir(__dirname)
process.argv.push('start', '--port', process.env.PORT)
require('next/dist/bin/next')
