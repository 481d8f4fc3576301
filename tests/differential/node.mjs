// Frameworks of Node, each at a port of its own, in the order of the arguments.
import Hapi from '@hapi/hapi'
import { serve } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import http from 'node:http'
import legacyUrl from 'node:url'
import Koa from 'koa'
import methodOverride from 'method-override'

// A request that a framework fails at is refused; the others go on.
process.on('uncaughtException', error => console.error(error))
process.on('unhandledRejection', error => console.error(error))

const GUARDED_HOST = 'admin.test'
const seen = (handler, path, method) => ({ 'X-Handler': handler, 'X-Path': Buffer.from(path, 'latin1').toString('base64'), 'X-Method': method })
// What headers say in Latin-1 is UTF-8 to what decodes it.
const utf8 = text => Buffer.from(text, 'utf8').toString('latin1')

const handlerOf = path => {
  if (path === '/admin') return 'admin'
  if (path.startsWith('/admin/')) return 'below'
  if (path === '/auth') return 'auth'
  return path === '/public' || path.startsWith('/public/') ? 'public' : 'other'
}

const plain = (port, read) => http.createServer((request, response) => {
  let url
  try {
    url = read(request)
  } catch {
    response.writeHead(400).end()
    return
  }
  const handler = url.hostname === GUARDED_HOST ? 'host' : handlerOf(url.path)
  response.writeHead(200, seen(handler, utf8(url.path), request.method)).end()
}).listen(port, '127.0.0.1')

const servers = [
  // The way without a framework.
  port => plain(port, request => {
    const url = new URL(request.url, 'http://localhost')
    return { path: url.pathname, hostname: (request.headers.host ?? '').split(':')[0] }
  }),
  port => plain(port, request => {
    const url = new URL(request.url, `http://${request.headers.host}`)
    return { path: decodeURIComponent(url.pathname), hostname: url.hostname }
  }),
  port => plain(port, request => {
    const url = legacyUrl.parse(request.url, true, true)
    return { path: url.pathname ?? '', hostname: (request.headers['x-forwarded-host'] ?? request.headers.host ?? '').split(':')[0] }
  }),
  port => {
    const app = express()
    app.set('trust proxy', true)
    app.use(methodOverride('X-HTTP-Method-Override'), methodOverride('X-HTTP-Method'), methodOverride('X-Method-Override'), methodOverride('_method'))
    const answer = name => (request, response) => response.set(seen(name, request.path, request.method)).end()
    app.use((request, response, next) => request.hostname === GUARDED_HOST ? answer('host')(request, response) : next())
    app.all('/admin', answer('admin'))
    app.all('/admin/*rest', answer('below'))
    app.all('/auth', answer('auth'))
    app.use('/public', answer('public'))
    app.use(answer('other'))
    app.use((error, request, response, next) => response.status(400).end())
    app.listen(port, '127.0.0.1')
  },
  port => fastify(port, { routerOptions: {} }),
  port => fastify(port, { routerOptions: { useSemicolonDelimiter: true, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false } }),
  port => {
    const app = new Koa({ proxy: true })
    app.silent = true
    app.use(context => {
      const handler = context.hostname === GUARDED_HOST ? 'host' : handlerOf(context.path)
      context.set(seen(handler, context.path, context.method))
      context.body = ''
    })
    app.listen(port, '127.0.0.1')
  },
  async port => {
    const server = Hapi.server({ port, address: '127.0.0.1', router: { isCaseSensitive: false, stripTrailingSlash: true } })
    const answer = name => (request, h) => {
      const handler = request.info.hostname === GUARDED_HOST ? 'host' : name
      const response = h.response('')
      for (const [header, value] of Object.entries(seen(handler, utf8(request.path), request.method.toUpperCase()))) response.header(header, value)
      return response
    }
    const options = { payload: { parse: false, output: 'data' } }
    const route = (path, name) => {
      server.route({ method: 'GET', path, handler: answer(name) })
      server.route({ method: ['POST', 'DELETE', 'PUT', 'PATCH'], path, handler: answer(name), options })
    }
    route('/admin', 'admin')
    route('/admin/{rest*}', 'below')
    route('/auth', 'auth')
    route('/public/{rest*}', 'public')
    route('/{rest*}', 'other')
    await server.start()
  },
  port => {
    const app = new Hono()
    const answer = name => context => {
      const handler = new URL(context.req.url).hostname === GUARDED_HOST ? 'host' : name
      return context.body('', 200, seen(handler, utf8(context.req.path), context.req.method))
    }
    app.all('/admin', answer('admin'))
    app.all('/admin/*', answer('below'))
    app.all('/auth', answer('auth'))
    app.all('/public/*', answer('public'))
    app.all('*', answer('other'))
    serve({ fetch: app.fetch, port: Number(port), hostname: '127.0.0.1' })
  }
]

async function fastify (port, options) {
  const app = Fastify({ trustProxy: true, ...options })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => { payload.resume(); payload.on('end', () => done(null)) })
  const answer = name => (request, reply) => {
    const handler = request.hostname === GUARDED_HOST ? 'host' : name
    reply.headers(seen(handler, utf8(request.url.split('?')[0]), request.method)).send('')
  }
  app.all('/admin', answer('admin'))
  app.all('/admin/*', answer('below'))
  app.all('/auth', answer('auth'))
  app.all('/public', answer('public'))
  app.all('/public/*', answer('public'))
  app.setNotFoundHandler(answer('other'))
  await app.listen({ port, host: '127.0.0.1' })
}

const ports = process.argv.slice(2)
for (const [index, server] of servers.entries()) await server(Number(ports[index]))
