//go:build race

package b2backend_test

// breakEvery is how many bytes lie between the breaks of a sweep. The race detector makes each run several times slower.
const breakEvery = 13
