// Package sluice streams data of unknown length into large files.
//
// A [LargeFileWriter] is an [io.WriteCloser]. It cuts what is written into parts, held in pooled pages of
// memory, and hashes and uploads the parts concurrently over a [Backend]. The shortest way to use it is
// [Upload]:
//
//	file, err := sluice.Upload(ctx, backend, "backup.tar", nil, func(w io.Writer) error {
//		_, err := io.Copy(w, source)
//		return err
//	})
//
// If err is nil the file exists, whole. Otherwise nothing was finished, or the error says that nobody
// knows (see Errors).
//
// # Life of a stream
//
// [New] checks the name and the options, starts no goroutine and sends nothing. Write and ReadFrom fill
// parts; a full part is handed on to be hashed and sent when one more byte is known to follow. So a stream that fits
// one part, an empty one included, is stored in a single call when it is closed, and a large file has at
// least two parts of which the last is not empty. Stores without single calls get a large file for every
// stream; a store that plans the parts itself is asked for its plan at the first byte, and needs
// [Options].Size.
//
// Close sends the rest (the last part in pieces, if uploads are idle), waits for the uploads and finishes the file. An
// upload that then takes more than twice the usual time is hedged where [Limits].Repeatable allows it: the part is sent
// a second time, on an upload that is idle, and the call that is done first ends the other. Abort gives the stream up,
// and so does the end of the context given to New. The first failure, whoever has it, ends the stream: every later call
// returns it, Close finishes nothing and cancels the large file (or keeps it, see [OnFailure]) on a context that
// outlives the caller's. A source that fails inside ReadFrom has failed the stream; it cannot become a truncated file.
//
// ReadFrom cannot see a failure where [io.Copy] does not go to the writer itself but through a compressor:
// there the caller has to call Abort. Upload does, if the function returns the error:
//
//	sluice.Upload(ctx, backend, "dump.zst", nil, func(w io.Writer) error {
//		z, err := zstd.NewWriter(w)
//		if err != nil {
//			return err
//		}
//		if _, err := io.Copy(z, source); err != nil {
//			return err // nothing is finished
//		}
//		return z.Close()
//	})
//
// Once Close has asked the store to finish, Abort and the context only end the store's retries, and the
// outcome is the store's: the file, a certain failure, or [ErrFinishUnknown].
//
// Close and Abort return when every goroutine of the stream has ended. They wait as long as a backend's
// call takes, because pages are lent to it, but not for a source that hangs in Read: the one page that it
// reads into goes home when it returns.
//
// # Resuming
//
// With [Options].Resume the stream goes on with an unfinished large file of an earlier run: it is read from
// its first byte again, cut where the stored parts were cut, and each part is sent only if the store does
// not have it. The source has to be replayable: the same file, or the same dump of a frozen snapshot; a
// second pg_dump is another stream. Use [Keep] beside it, so that what failed can be resumed.
//
// # Memory
//
// Memory is the pages of a [Pool], which has a hard limit: one made for the writer from
// [Options].MemoryLimit (128 MiB unless said otherwise), or one that any number of writers share. When it
// is used up, Write and ReadFrom wait. A stream of up to a page holds one page, an idle one none.
//
// Memory, length and concurrency are one law. Parts of s bytes in a limit of m leave room for m/s-1
// uploads beside the part being filled, and a store that takes n parts takes n*s bytes at most. Parts start
// at a sixteenth of the limit and grow as the stream does, up to half the limit. So on Backblaze B2, with
// 10,000 parts, 128 MiB carry 0.6 TB, 256 MiB 1.2 TB, 1 GiB 4.8 TB and 2.1 GiB the largest file of 10 TB,
// with one upload at a time near the end. [Settings].Reach is this length, known before the first byte; the
// first byte beyond it fails with [ErrTooLarge]. [Options].MaxSize keeps the parts of shorter streams small.
//
// With [Options].BufferDir, or a Pool of [NewFilePool], the limit counts pages in a temporary file, and memory
// stays at a page for each writer and 256 KiB for each upload. Streams of up to a page never touch the disk.
//
// Pages live on the Go heap. Garbage beside them is the collector's business: a program that wants its
// whole memory bounded calls [runtime/debug.SetMemoryLimit] with the limit and some 24 MiB more. This package
// never does.
//
// # Concurrency
//
// All methods of a LargeFileWriter may be called from any goroutine. Write, ReadFrom and Close take turns;
// Abort, Stats, Settings and File wait for nobody's turn. Hooks run on the goroutine that does the work and
// must not call Close or Abort.
//
// A stream's goroutines are at most [Options].Concurrency that upload, one for each processor that hashes the next
// parts meanwhile, one that opens the large file, one that computes digests of the whole stream if there are any to
// compute, and, while Close waits, one that looks for stragglers and one for each hedge: with these no more uploads run
// than are allowed at once. None is started for a stream that fits one part.
//
// # Errors
//
// A failed stream returns an [*Error]. It says what failed, for which part and after how many attempts, names
// the large file that still exists, if any, and why cancelling it failed, if that did. It unwraps to the
// cause: the source's error, the backend's, the cause given to Abort, and [context.Canceled] or
// [context.DeadlineExceeded] beside [context.Cause] where a context ended.
//
// [ErrFinishUnknown] means that the request to finish was sent, its answer was lost, and the store could not
// be asked. The file may exist, and nothing was cancelled.
//
// # Writing a backend
//
// A [Backend] says in [Limits] what its store takes, and uploads single files and parts of large files. It
// owns everything about its protocol: retries, authorization, part numbers of the server. The writer owns
// memory, cutting, digests, ordering and the decision whether to finish. Who may touch a page when:
//
//	state                    owner                               leaves by
//	free                     the pool                            a grant to a writer
//	filling                  the writer                          hand-over, or the single upload in Close
//	uploading or digesting   the part, which counts its upload   the last of the two gives the pages
//	                         and the digests of the stream;      back, exactly once
//	                         lent read-only to the backend
//	                         while its call lasts
//
// A backend must not touch a part's bytes after its call has returned. With net/http that takes care: the
// transport may read a request body after Do has returned, when a server answers early. So an upload first
// drains and closes the response and then closes the [Body], which waits for a read in progress.
//
// Package memorybackend is the reference, backendtest checks a backend against every rule, and
// backendtest/faults makes one fail on purpose.
package sluice
