// Package backendtest checks a [sluice.Backend], and a [sluice.Source] that it
// is too, against every rule of its contract. A backend's author
// gives it a way to make a fresh store and to read a finished file back:
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) backendtest.Store {
//			server := mystoretest.NewServer(t)
//			return backendtest.Store{
//				Backend: mystore.New(server.URL()),
//				Open:    func(name string) (io.ReadCloser, error) { return server.Open(name) },
//			}
//		})
//	}
//
// Every rule is a subtest of its own, on a store of its own, and prints the
// rule where it is broken. What a store declares in its [sluice.Limits] not to
// have is skipped, with a message that names the limit. The files have parts of
// Limits.MinPart bytes, up to twelve large files at once, so that a store in
// another country can be checked as well; their names begin with "backendtest/"
// and are new in every run.
//
// Run it under the race detector: a backend that reads lent bytes after its
// call has returned, or changes them for a moment, is seen best there.
//
// The package imports testing. What programs need to make a backend fail is in backendtest/faults,
// which does not.
package backendtest
