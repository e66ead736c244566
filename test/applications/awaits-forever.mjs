// Waits at the top for something that nobody will do.
await new Promise(() => {})
