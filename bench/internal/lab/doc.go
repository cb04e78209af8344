// Package lab is what the benchmarks share: work in processes of their own,
// servers and lines to them, rounds that interleave, medians, tables and the
// document they go into, and a raw client that posts as cheaply as can be.
package lab
