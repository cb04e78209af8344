// Package bvtest serves the upload calls of a BlendVision One library on
// loopback sockets, in the manner of net/http/httptest, for tests and
// demonstrations of anything that uploads to it.
//
//	server := bvtest.NewServer(nil)
//	defer server.Close()
//	client := connect(server.URL(), server.Token(), server.OrgID())
//
// The API and the object store behind its presigned URLs are two listeners, so
// that a client that mixes them up, or shows its credentials to the object
// store, is refused. The server plans the parts, signs one URL for each, and
// lets the URLs expire by its own clock ([Options.Now], [Server.Advance]). It
// completes a session only if the parts have the sizes the service allows, add
// up to the declared size and have the SHA-1 the client claims.
//
// [Server.Inject] scripts faults, [Server.Sessions] says what became of every
// upload session, [Server.Content] reads a finished file back, and
// [Server.Check] reports what no correct client does, whatever answers it got.
//
// # Evidence
//
// Comments say how sure a behaviour is. "Documented" is the public API
// reference of the service, or its public sample client. "Assumed" is what
// neither says: there the server is as strict as a client must be ready for.
// Nothing here was recorded from the real service.
package bvtest
