// Exports a Promise of something that cannot be served.
export default Promise.resolve(42)
