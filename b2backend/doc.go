// Package b2backend stores large files in Backblaze B2, by its native API.
//
// A [Backend] is a bucket, reached with an application key. It is what a [sluice.LargeFileWriter] uploads to:
//
//	backend, err := b2backend.New(ctx, b2backend.Credentials{
//		KeyID: os.Getenv("B2_APPLICATION_KEY_ID"),
//		Key:   os.Getenv("B2_APPLICATION_KEY"),
//	}, "my-bucket", nil)
//	if err != nil {
//		return err
//	}
//	file, err := sluice.Upload(ctx, backend, "backup.tar", nil, fill)
//
// What only this store has is said per file through a handle, which is again a Backend:
//
//	locked := backend.With(b2backend.FileOptions{
//		Retention:  b2backend.Retention{Mode: "compliance", Until: inAYear},
//		Encryption: b2backend.EncryptB2(),
//	})
//
// [Backend.Open] reads a file back. It goes on by itself where a connection breaks, and ends well only if all bytes came and
// have the SHA-1 that is known of them.
//
// # What a key needs
//
// writeFiles is enough to upload, finish and cancel, and is not needed for [Backend.Open]. The other capabilities are for
// what may go wrong, or are asked for by name:
//
//	listBuckets          New, unless the key is restricted to buckets
//	readFiles            Open; settling a lost answer to finish; copying from a private bucket
//	listFiles            settling lost answers to start and to a single upload; Unfinished, ResumeLargeFile, CancelStale
//	writeFileRetentions  FileOptions.Retention
//	writeFileLegalHolds  FileOptions.LegalHold
//
// # Failures
//
// Every call is retried as [sluice.Retry] says, with exponential waits in full jitter. A Retry-After takes their
// place, up to two minutes, or ten with a Budget. What is worth another attempt:
//
//	a certificate that nobody vouches for              final
//	no connection, connection broken, timeout, stall   API: after a wait; upload: at once, to a new URL
//	5xx                                                the same
//	408                                                after a wait; upload: to a new URL
//	429                                                after a wait
//	401 expired_auth_token, bad_auth_token, no code    API: one login for all calls; upload: a new URL
//	401 unauthorized                                   API: final; upload: one new URL
//	400 the bytes' SHA-1 did not match, or
//	    the URL is in use by another upload            upload: a new URL
//	success about other bytes, or garbled              the same as a broken connection
//	everything else, caps (403) among it               final
//
// An upload URL carries one upload at a time. It is kept while it works, and dropped with every failure but a 429.
// Account tokens and upload URLs end after 24 hours, which a longer stream survives.
//
// A call that must not be done twice is not repeated before it is known what became of it:
//
//   - finish is looked up by get_file_info, in the list of versions, or by whether the parts can still be listed. An
//     attempt under way outlives its context by up to a minute. What cannot be settled is [sluice.ErrFinishUnknown],
//     after which nothing is cancelled.
//   - start is looked for among the unfinished large files, by a random value in the file's metadata (key sluice-id; see
//     [FileOptions].Untagged), and gone on with.
//   - a single upload is looked for among the versions of its name, by the same key. One whose bytes are all sent
//     outlives its context like a finish, and is unknown in the same way. A key without listFiles cannot look: the file
//     is sent again, and may then be there in two equal versions.
//
// Errors are an [*Error] where the service answered. No error, log line or String shows a key or a token. Credentials are
// sent over https only, or to this machine; redirects are not followed.
//
// # Limits
//
// A file has up to 10 TB in up to 10,000 parts of up to 5 GB each; all but the last have at least what the service says at
// login, which is 5,000,000 bytes. A large file has at least two parts, so what fits one part goes in a single call. Names
// have up to 1024 bytes of UTF-8. Name and metadata together have up to 7000 bytes, 2048 with encryption or Object Lock.
//
// For tests there is a faithful server in package b2test. Its documentation says what "documented", "recorded" and "reported"
// mean in the comments of both packages.
package b2backend
