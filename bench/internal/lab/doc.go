// Package lab is what the benchmarks share: work in processes of their own, rounds that interleave, medians, a
// local B2 server, and a raw client that posts to it as cheaply as can be.
package lab
