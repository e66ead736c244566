import { answers } from '../../answers.js'

export const dynamic = 'force-dynamic'

export const GET = () => new Response(answers().eventStream(), { headers: { 'content-type': 'text/event-stream' } })
