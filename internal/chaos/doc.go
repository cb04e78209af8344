// Package chaos holds only tests: streams of which everything is random, and
// what must hold of each when it has ended. A finished file is equal to its
// source byte for byte; nothing unfinished is left that was not asked for; no
// goroutine, page of memory or file descriptor is left; and the error is the
// first failure's.
//
// Most scenarios run in virtual time, over the store in memory or the B2
// backend and its test server on a network in memory. Some run in processes of
// their own, which are killed.
//
// One run is 10,000 scenarios or more; fewer are a failure, unless -short asks
// for a tenth or -run for a part. The last line says what was done. The go
// command shows it if no package is named, as in "go test -C internal/chaos".
//
// Scenarios have numbers, from -from (1 if not given). A failure names its own
// and prints the command that makes it again: "go test -C internal/chaos -run
// TestStreams -seed=1234".
package chaos
