// Package blendvisionbackend uploads files to a BlendVision One library, and reads them
// back.
//
//	backend, err := blendvisionbackend.New(
//		blendvisionbackend.NewCredentials(token, org),
//		&blendvisionbackend.Options{Endpoint: endpoint})
//
// # What the service asks for
//
// The size of a file must be known before its first byte: the service plans the parts
// from it. A writer without Options.Size is refused with sluice.ErrSizeRequired before
// anything is sent, and so is an empty file. The service decides the number of parts;
// their sizes follow from it, equal but for a smaller last one. A planned part that does
// not fit half the writer's memory limit is an error that says how much memory is needed.
//
// A file has a type and a source ([FileOptions]) and attributes. It has no content type:
// FileSpec.ContentType is not sent. FileSpec.Metadata is sent as attributes.
//
// # What the service cannot do
//
// Files are found by their ID, which the upload returns, not by their name, and the
// service tells no digest of them. So a Backend is a sluice.Source whose names are IDs:
// sluice.Download takes an ID, and verifies the length alone. List returns
// [errors.ErrUnsupported], and no file is removed.
//
// There is no upload in one call, no listing of unfinished uploads and no resuming. The
// presigned URLs that parts go to expire, and no call renews them: a part that comes too
// late fails for good, with an [*Error] of status 403, and the file must be uploaded
// anew.
//
// # Lost answers
//
// An upload session whose answer was lost cannot be found again, to cancel it: another
// one is opened, and the logger gets a warning; if that fails the error matches
// [sluice.ErrLeftBehind]. If the answer to the completion of an upload is lost, the first
// byte of the file of its ID is downloaded, which tells the size, and the completion is
// repeated meanwhile. So the token needs the permission for both calls; the service does
// not tell what a token may do, and a refusal is an [*Error] of code PERMISSION_DENIED. If
// the file is not seen, or has another size than the stream, the outcome is
// [sluice.ErrFinishUnknown], after which nothing is cancelled.
//
// # Credentials
//
// The token and the organization go to the API alone, never to the object store behind
// the presigned URLs. They appear in no error, log or String, and neither do the queries
// of presigned URLs, even where the server repeats them. Of the organization that holds
// from 8 characters on: a shorter id is not told from a word of a message.
//
// # Evidence
//
// The protocol is that of the public API reference and the public sample client; testdata
// holds their examples. No part of this package was run against the real service: what
// tests show, they show against bvtest, a server of this project. Three things are
// assumed because nothing documents them. The error code 5 (not found) from the cancel
// call means that nothing is left to cancel. The object store's errors are XML with Code
// and Message. A download URL serves ranges, an ETag and the size as HTTP has it.
package blendvisionbackend
