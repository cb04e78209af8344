//go:build !race

package testutil

// Race is whether the race detector is on.
const Race = false
