// Has work to do, and never listens. Prints a line for each turn of that work.
'use strict'
setInterval(() => console.log('working'), 20)
