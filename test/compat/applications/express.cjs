/** Applications on Express and the middleware that most of its users have; the names are those of `framework-scenes.ts`. */

'use strict'

const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const express = require('express')

/** A file of known bytes and date, for as long as this process lives. */
function knownFile() {
  const folder = mkdtempSync(join(tmpdir(), 'daimyo-scene-'))
  const path = join(folder, 'known.txt')
  writeFileSync(path, 'known '.repeat(20_000))
  require('node:fs').utimesSync(path, 1e9, 1e9)
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return path
}

module.exports = {
  json() {
    const app = express()
    app.use(express.json())
    app.post('/', (req, res) => res.status(201).cookie('a', 'b').location('/new').json({ got: req.body, ip: req.ip }))
    return app
  },
  errors() {
    const app = express()
    app.set('env', 'production')
    app.get('/', async () => {
      throw new Error('thrown in a promise')
    })
    app.use((error, _req, res, _next) => res.status(500).send(`handled: ${error.message}`))
    return app
  },
  errorAfterHead() {
    const app = express()
    app.set('env', 'test')
    app.get('/', (_req, res, next) => {
      res.write('some')
      setTimeout(() => next(new Error('too late')), 10)
    })
    return app
  },
  redirect() {
    const app = express()
    app.get('/', (req, res) => res.redirect(`${req.protocol}://${req.hostname}/other`))
    return app
  },
  file() {
    const path = knownFile()
    const app = express()
    app.get('/', (_req, res) => res.sendFile(path))
    return app
  },
  static() {
    const app = express()
    app.use(express.static(join(knownFile(), '..')))
    return app
  },
  compression() {
    const compression = require('compression')
    const app = express()
    app.use(compression({ threshold: 0 }))
    app.get('/', (_req, res) => {
      res.type('text').write('one '.repeat(1000))
      res.flush()
      setTimeout(() => res.end('two '.repeat(1000)), 200)
    })
    return app
  },
  session(note) {
    const session = require('express-session')
    const app = express()
    app.use(session({ secret: 's', resave: false, saveUninitialized: true, genid: () => 'known', proxy: false }))
    app.get('/', (req, res) => {
      req.session.visits = (req.session.visits ?? 0) + 1
      note(`visit ${req.session.visits}`)
      res.send(`visits: ${req.session.visits}`)
    })
    return app
  },
  secureSession(note) {
    const session = require('express-session')
    const app = express()
    app.use((req, _res, next) => {
      req.socket.encrypted = true
      next()
    })
    app.use(
      session({ secret: 's', resave: false, saveUninitialized: true, genid: () => 'known', cookie: { secure: true } }),
    )
    app.get('/', (req, res) => {
      note(`${req.protocol} ${req.secure}`)
      res.send('secured')
    })
    return app
  },
  upload(note) {
    const multer = require('multer')
    const app = express()
    app.post('/', multer({ storage: multer.memoryStorage() }).array('files', 4), (req, res) => {
      for (const file of req.files) note(`${file.fieldname} ${file.originalname} ${file.size}`)
      res.json(req.body)
    })
    return app
  },
  uploadBrokenOff(note) {
    const multer = require('multer')
    const app = express()
    app.use((req, _res, next) => {
      req.once('data', () => note('begun'))
      next()
    })
    app.post('/', multer({ storage: multer.memoryStorage() }).single('file'), (_req, res) => res.send('never'))
    app.use((error, _req, res, _next) => {
      note(`error ${error.message}`)
      res.end()
    })
    return app
  },
}
