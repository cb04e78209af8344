// Package b2backend stores large files in Backblaze B2, by its native API.
//
// A [Backend] is a bucket, reached with an application key. It is what a
// [sluice.LargeFileWriter] uploads to:
//
//	credentials := b2backend.NewCredentials(os.Getenv("B2_APPLICATION_KEY_ID"), os.Getenv("B2_APPLICATION_KEY"))
//	backend, err := b2backend.New(ctx, credentials, "my-bucket", nil)
//	if err != nil {
//		return err
//	}
//	file, err := sluice.Upload(ctx, backend, "backup.tar", nil, fill)
//
// What only this store has is said per file through a handle, which is again a
// Backend:
//
//	locked := backend.With(b2backend.FileOptions{
//		Retention:  b2backend.Retention{Mode: b2backend.Compliance, Until: inAYear},
//		Encryption: b2backend.EncryptB2(),
//	})
//
// A Backend is a [sluice.Source] too, so [sluice.Download] reads a file back.
// It resumes where a connection breaks, and succeeds only if all bytes came and
// have the SHA-1 that is known of them. [Backend.Remove] removes a version of a
// file.
//
// # What a key needs
//
// writeFiles is enough to upload, finish and cancel, and readFiles to read
// files back. The other capabilities are needed to learn what became of a
// request whose answer was lost, or for what is asked for by name:
//
//	listBuckets          New, unless the key is restricted to buckets
//	listFiles            what became of a start, a single upload or a finish; List;
//	                     Unfinished, ResumeLargeFile, CancelStale
//	readFiles            what became of a finish; Stat, ReadRange; copies of private files
//	deleteFiles          Remove
//	writeFileRetentions  FileOptions.Retention
//	writeFileLegalHolds  FileOptions.LegalHold
//
// # Failures
//
// Every call is retried as [sluice.Retry] says, with exponential waits in full
// jitter. A Retry-After takes their place, up to two minutes, or ten with a
// Budget. What is worth another attempt:
//
//	untrusted certificate; a proxy that denies access      final
//	no connection, connection broken, timeout, stall       API: after a wait; upload: at once, to a new URL
//	408, 499, every 5xx                                    the same
//	any answer without the service's own error             the same
//	a success about other bytes, or garbled                the same
//	429                                                    after a wait
//	401 expired_auth_token, bad_auth_token, without code   API: one login for all calls; upload: a new URL
//	401 unauthorized                                       API: final; upload: one new URL
//	400 the bytes arrived damaged, or the URL is in use    upload: a new URL
//	everything else, caps (403) among it                   final
//
// An upload URL carries one upload at a time. It is kept while it works, and
// dropped with every failure but a 429. Account tokens and upload URLs end
// after 24 hours, which a longer stream survives. [Options].Renew gives the key
// that has replaced one that expired meanwhile.
//
// A call that must not be done twice is not repeated blindly. If its answer is
// lost, whatever became of it, the service is asked, and an attempt whose bytes
// are all sent outlives its context by up to a minute:
//
//   - finish is done if a finished file has its ID, by b2_get_file_info or in the list of versions. It is repeated
//     meanwhile, which the service does once. That the unfinished large file is gone proves nothing: it may have been
//     cancelled.
//   - start is looked for among the unfinished large files, by a random value in the file's metadata (key sluice-id; see
//     [FileOptions].OmitSluiceID), and used if it is there.
//   - a single upload is looked for among the versions of its name, by the same key. A key without listFiles cannot
//     look: the file is sent again, and may then be there in two equal versions.
//   - a copy of a file cannot be looked for, and is not repeated.
//
// What stays unknown is [sluice.ErrFinishUnknown], after which nothing is
// cancelled, or for a start [sluice.ErrLeftBehind].
//
// Errors are an [*Error] where the service answered. No error, log line or
// String shows a key or a token. Credentials are sent over https only, or to
// this machine; redirects are not followed.
//
// # Limits
//
// A file has up to 10 TB in up to 10,000 parts of up to 5 GB each; all but the
// last have at least what the service says at login, which is 5,000,000 bytes.
// A large file has at least two parts, so what fits one part goes in a single
// call. Names have up to 1024 bytes of UTF-8. Name and metadata together have
// up to 7000 bytes, 2048 with encryption or Object Lock.
//
// For tests there is a faithful server in package b2test. Its documentation
// says what "documented", "recorded" and "reported" mean in the comments of
// both packages.
package b2backend
