// Exports a class, which is a function but not one that can be called.
export default class Farm {}
