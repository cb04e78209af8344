// Package b2test serves the Backblaze B2 native API on loopback sockets, in the
// manner of net/http/httptest, for tests, demonstrations and benchmarks of
// anything that talks to B2.
//
//	server := b2test.NewServer(nil)
//	defer server.Close()
//	client := connect(server.URL(), server.KeyID(), server.Key(), server.Bucket())
//
// The server is strict where the real service is: digests, lengths, names,
// capabilities, the life of tokens and upload URLs, the order of the checks at
// finish, the bytes of its answers. It speaks API versions 1 to 4, on four
// listeners (authorize, API, uploads, downloads), so that a client that mixes
// hosts up is refused. Time is the server's own ([Options.Now],
// [Server.Advance]), so that a day's token expiry needs no day.
//
// [Server.Inject] scripts faults, [Options.Latency] and [Options.Bandwidth]
// make a link slow, [Server.Requests] says what arrived, and [Server.Check]
// reports what no correct client does, whatever answers it got.
//
// # Evidence
//
// Comments say how sure a behaviour is: "documented" is Backblaze's
// documentation, "recorded" an exchange with the real service (testdata holds
// twenty), "reported" what official clients and their users saw. What could
// not be confirmed is marked uncertain; where it matters to a client it is a
// switch in [Uncertain].
package b2test
