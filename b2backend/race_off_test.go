//go:build !race

package b2backend_test

// breakEvery is how many bytes lie between the breaks of a sweep: all of them are tried.
const breakEvery = 1
