// Package memorybackend keeps files in memory. It is for tests, demonstrations
// and benchmarks, and it is the reference for authors of backends: it does what
// [sluice.Backend] says, and nothing it lets pass would surprise a real store.
//
// It is strict. A part whose size, number or digest is not what [sluice.Limits]
// and the plan ask for is refused, and so is a finish whose receipts are not
// exactly those of the parts stored: a mistake of the caller shows here, and
// not as a damaged file in a store. A finish while parts are being uploaded by
// the same handle is refused as well.
//
// A finished file is read back by [Backend.Open], by [Backend.FS], and
// described by [Backend.File]. It keeps its parts as they came; reading goes
// across them and copies nothing.
//
//	b := memorybackend.New(nil)
//	// … upload "dump.tar" to b …
//	data, err := fs.ReadFile(b.FS(), "dump.tar")
//
// [Options] choose the limits of the store, simulate the latency and the
// bandwidth of a network, or drop the bytes so that what remains is the cost of
// the pipeline alone. All waiting is done with timers and contexts and never
// under a lock, so a Backend works in a bubble of [testing/synctest].
package memorybackend
