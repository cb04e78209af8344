// Package engines starts S3-compatible stores for tests: programs that others
// wrote, each on a free port of the loopback address and over a folder of its
// own, until it is closed. Those written in Go are built from pinned versions
// by the go command, once, and kept in the user's cache folder. Ceph comes from
// the operating system's packages.
package engines
