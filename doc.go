// Package sluice streams data of unknown length into large files.
//
// A [LargeFileWriter] is an [io.WriteCloser]. It cuts what is written into
// parts, held in pooled pages of memory, and hashes and uploads the parts
// concurrently over a [Backend]. The shortest way to use it is [Upload]:
//
//	file, err := sluice.Upload(ctx, backend, "backup.tar", nil, func(w io.Writer) error {
//		_, err := io.Copy(w, source)
//		return err
//	})
//
// If err is nil the file exists, whole. Otherwise nothing was finished, or the
// error says that the outcome is unknown (see Errors).
//
// # Life of a stream
//
// [New] checks the name and the options, starts no goroutine and sends nothing.
// Write and ReadFrom fill parts; a full part is handed on to be hashed and sent
// when one more byte is known to follow. So a stream that fits one part, an
// empty one included, is stored in a single call when it is closed, and a large
// file has at least two parts of which the last is not empty. Stores without
// single calls get a large file for every stream; a store that plans the parts
// itself is asked for its plan at the first byte, and needs [Options].Size.
//
// Close sends the rest (the last part in pieces, if uploads are idle), waits
// for the uploads and finishes the file. Abort gives the stream up, and so does
// the end of the context given to New. The first failure ends the stream: every
// later call returns it, Close finishes nothing and cancels the large file (or
// keeps it, see [Options].KeepOnFailure) on a context that outlives the caller's.
//
// Once Close has asked the store to finish, Abort and the context only end the
// store's retries, and the outcome is the store's: the file, a certain failure,
// or [ErrFinishUnknown].
//
// Close and Abort return when every goroutine of the stream has ended. They
// wait as long as a backend's call takes, because pages are lent to it, but not
// for a source that hangs in Read: the one page that it reads into goes home
// when it returns.
//
// # Sources that fail
//
// The writer sees a source fail only if ReadFrom reads it; then the stream has
// failed, and Close finishes nothing. It does not see a source fail that is read
// by other code: by a compressor, or by the source's own WriteTo, which [io.Copy]
// prefers and which decoders have (zstd.Decoder and gzip.Reader of
// klauspost/compress). All it gets are Writes, and Close would finish the file
// that they make. So return every error before Close. Upload finishes nothing if
// its function returns an error:
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
// With a writer from New, a deferred Abort does the same; see [LargeFileWriter].
//
// Some code hides the error. ReadFrom of s2.Writer (klauspost/compress, also as
// snappy) and of lz4.Writer (pierrec/lz4) takes [io.ErrUnexpectedEOF] for the
// end of the source, and this is how the body of an HTTP request or answer ends
// that was cut off. io.Copy then returns nil. Hide that method from it:
//
//	_, err := io.Copy(struct{ io.Writer }{compressor}, source)
//
// A decoder that is cut off between two frames or members cannot tell that from
// the end, and zstd.Decoder takes io.ErrUnexpectedEOF there for the end too: look
// at the error of the body itself.
//
// # Resuming
//
// With [Options].Resume a stream resumes the unfinished large file of an
// earlier run: it is read from its first byte again, cut where the stored parts
// were cut, and only the parts that the store does not have are sent. The
// source must be replayable: the same file, or the same dump of a frozen
// snapshot; a second pg_dump is another stream. One that differs from the
// stored parts, or is shorter, fails with [ErrResumeMismatch], and what is
// stored stays. [Options].RestartOnMismatch starts a new large file instead.
//
// # Memory
//
// Memory is the pages of a [Pool], which has a hard limit: one made for the
// writer from [Options].MemoryLimit (128 MiB unless said otherwise), or one
// that any number of writers share. When it is used up, Write and ReadFrom
// wait. A stream of up to a page holds one page, an idle one none.
//
// Memory, length and concurrency are one law. Parts of s bytes in a limit of m
// leave room for m/s-1 uploads beside the part being filled, and a store that
// takes n parts takes n*s bytes at most. Parts start at a sixteenth of the
// limit and grow as the stream does, up to half the limit. So on Backblaze B2,
// with 10,000 parts, 128 MiB carry 0.6 TB, 256 MiB 1.2 TB, 1 GiB 4.8 TB and 2.1
// GiB the largest file of 10 TB, with one upload at a time near the end.
// [Settings].MaxStreamSize is this length, known before the first byte; the
// first byte beyond it fails with [ErrTooLarge]. [Options].MaxSize keeps the
// parts of shorter streams small.
//
// With [Options].BufferDir, or a Pool of [NewFilePool], the limit counts pages
// in a temporary file, and memory stays at a page for each writer and 256 KiB
// for each upload. Streams of up to a page never touch the disk.
//
// Pages live on the Go heap. Garbage beside them is the collector's business: a
// program that wants its whole memory bounded calls
// [runtime/debug.SetMemoryLimit] with the limit and some 24 MiB more. This
// package never does.
//
// # Concurrency
//
// All methods of a LargeFileWriter may be called from any goroutine. Write,
// ReadFrom and Close take turns; Abort, Stats, Settings and File do not wait
// for a turn. Hooks run on the goroutine that does the work and must not
// call Close or Abort.
//
// At most [Options].Concurrency goroutines of a stream upload, and one for each
// processor hashes the next parts. One opens the large file, one watches the
// uploads, and one computes digests of the whole stream if any were asked for.
// None is started for a stream that fits one part. All of
// them end when the stream ends, when it fails, or when the context given to
// New ends. The pages of the part being filled are returned by Close or Abort.
//
// How many uploads run is decided as the stream goes on, unless
// Options.Concurrency says it. A stream starts with one. More are added while
// parts are short or the throughput rises; fewer run when the store asks to
// slow down, when an attempt moves no byte or gets no answer in time, or when
// parts take more than a minute and fewer uploads are as fast. An upload that
// takes far longer than the others is ended and started again, once.
//
// # Reading files back
//
// [NewReader] reads a file of a [Source] in order, [Download] writes it to an
// [io.Writer], [DownloadAt] to an [io.WriterAt], and [DownloadFile] to a file:
//
//	file, err := sluice.DownloadFile(ctx, store, "db/monday.dump", "monday.dump", nil)
//	if err != nil {
//		return err // the next call resumes
//	}
//
// DownloadFile writes to a partial file, which gets the target's name once all of
// it is there and synced. After a failure or a crash the next call verifies what
// it finds in the partial file and fetches the rest.
//
// Ranges of the file are fetched concurrently into pages of a [Pool], as many at
// once as the network has use for and the memory holds. A range that breaks is
// resumed where it ended. While the caller takes nothing, nothing more is
// fetched than fits in memory.
//
// A file is read whole, or there is an error: its length is always checked, and
// every digest of its parts and of the whole that the store keeps is verified.
// Where the store keeps none, as B2 does of most large files, [Options].Manifest
// stores them in a file of their own, which a restore finds by its name.
// All bytes are of one version of the file; one that is replaced meanwhile is an
// error that matches [ErrReplaced], and damage is one that matches [ErrDamaged].
//
// # Errors
//
// A failed stream returns an [*Error]. It says what failed, for which part and
// after how many attempts, names the large file that still exists, if any, and
// why cancelling it failed, if that did. It unwraps to the cause: the source's
// error, the backend's, the cause given to Abort, and [context.Canceled] or
// [context.DeadlineExceeded] beside [context.Cause] where a context ended.
//
// [ErrFinishUnknown] means that the request to finish was sent, its answer was
// lost, and the store could not be asked. The file may exist, and nothing was
// cancelled.
//
// # Writing a backend
//
// A [Backend] says in [Limits] what its store takes, and uploads single files
// and parts of large files. It owns everything about its protocol: retries,
// authorization, part numbers of the server. The writer owns memory, cutting,
// digests, ordering and the decision whether to finish. A page belongs to one of
// them at a time:
//
//	state                    owner                               leaves by
//	free                     the pool                            a grant to a writer
//	filling                  the writer                          hand-over, or the single upload in Close
//	uploading or digesting   the part, which counts its upload   the last of the two gives the pages
//	                         and the digests of the stream;      back, exactly once
//	                         lent read-only to the backend
//	                         while its call lasts
//
// A backend must not touch a part's bytes after its call has returned. With
// net/http that takes care: the transport may read a request body after Do has
// returned, when a server answers early. So an upload first drains and closes
// the response and then closes the [Body], which waits for a read in progress.
// Package httpcall does that, with retries.
//
// Package memorybackend is the reference, backendtest checks a backend against every rule, and
// backendtest/faults makes one fail on purpose.
package sluice
