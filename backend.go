package sluice

import (
	"context"
	"errors"
	"hash"
	"iter"
	"time"
)

// Backend is a store that large files can be uploaded to.
//
// Every method is required, so that a wrapper (fault injection, rate limit,
// logging) that embeds a Backend forwards all of it. Optional capabilities are
// reported by [Limits]; their methods return [errors.ErrUnsupported] where the
// store has none. A small backend embeds [Unsupported]. Options that only one
// store has (retention, storage class, customer keys) belong to a handle of that
// store, which is again a Backend: b2backend's With(FileOptions).
//
// All methods may be called concurrently, for different files and for the same
// name. The backend retries; an error that it returns is final. Errors carry no
// credentials.
//
// A call whose context has ended before it is made does nothing at the store.
// One whose context ends meanwhile returns soon, because pages are lent to it.
// Both fail with an error that matches the context's error and its cause, and
// the last failure of the store if there was one.
//
// A backend keeps nothing that it is lent (the bytes and digests of a [Part], the
// receipts and digests of Finish) after the call returns, and changes none of it.
//
// Package backendtest checks a Backend against every rule stated here.
type Backend interface {
	// Limits returns what the store takes. It does no I/O, and its result is
	// constant for the life of the Backend.
	Limits() Limits

	// Check rejects a file that the store could not take: by its name, which must
	// not be empty, its metadata, or its size, where the error for one above
	// Limits.MaxFile matches [ErrTooLarge]. The error names the value and the
	// limit. Check does no I/O and is called by [New], before a byte is sent.
	Check(FileSpec) error

	// UploadFile stores exactly the bytes of p as a whole file, in one call, with
	// the content type and metadata of spec. p.Number is 0. An empty file is stored
	// too. It fails, and stores nothing, if p.Size is not spec.Size or the digests
	// of p are not those of its bytes. The File has an ID, the name and the size,
	// and no parts.
	//
	// It is both the upload and the finish: if ctx ends before the store has all
	// bytes, nothing is stored; after that the outcome is settled as
	// [LargeFile.Finish] settles it. It is called only for files up to
	// Limits.MaxSingle.
	UploadFile(ctx context.Context, spec FileSpec, p *Part) (File, error)

	// StartLargeFile begins a large file, which outlives ctx. Any number of the same
	// name may be unfinished at once, each with an ID and parts of its own. If it
	// fails, or ctx ends before the store's answer comes, no unfinished large file
	// stays behind where the store lets it be found; where one may, the error
	// matches [ErrLeftBehind]. One that was started as ctx ended and cannot be
	// cancelled may be returned instead, so that the stream's error names it.
	StartLargeFile(ctx context.Context, spec FileSpec) (LargeFile, error)

	// ResumeLargeFile opens an unfinished large file: the one with the ID, or,
	// if id is "", the newest one of that name. One that was started before the
	// name's finished file is passed over then, as far as the store tells:
	// something newer has taken its place. Its Info lists the stored parts, and
	// it can be finished and cancelled like one that was started. spec says
	// what the file must be; one that differs is rejected, with an error that
	// matches [ErrResumeMismatch], or [io/fs.ErrNotExist] if it has another
	// name. If there is none the error matches [io/fs.ErrNotExist].
	ResumeLargeFile(ctx context.Context, spec FileSpec, id string) (LargeFile, error)

	// Unfinished lists the unfinished large files whose names begin with prefix, and
	// no others, oldest first. To cancel one: ResumeLargeFile, then Cancel. The
	// sequence may be left before its end. An error ends it.
	Unfinished(ctx context.Context, prefix string) iter.Seq2[UnfinishedFile, error]
}

// LargeFile is a file being assembled from parts. UploadPart may be called
// concurrently for different part numbers. Finish and Cancel are called when no
// UploadPart is running.
type LargeFile interface {
	// Info does no I/O, and its result is constant.
	Info() LargeFileInfo

	// UploadPart stores one part. Parts may come in any order. A part sent again
	// under the same number replaces the earlier one. It fails, and stores nothing,
	// if the digests of p are not those of its bytes, if p.Number is below 1, above
	// Limits.MaxParts or outside of the plan, if p.Size is above Limits.MaxPart, and
	// after Finish or Cancel. A size that is not that of the plan, or below
	// Limits.MinPart for a part that is not the last, is rejected here or by Finish;
	// so are parts of several sizes where Limits.EqualParts is set.
	// After a failure the part can be sent again. What the Receipt says of number,
	// size and digests is true of the part.
	UploadPart(ctx context.Context, p *Part) (Receipt, error)

	// Finish makes the file visible, whole, from the parts 1…len(parts) in order; no
	// part of it is visible before. The File has an ID, the name, the size and the
	// number of parts. It fails if there are no parts or
	// fewer than Limits.MinParts, if a part or its receipt is missing, if a receipt
	// has the ETag of another part, or if whole are not the digests of the file. The
	// large file then stays unfinished.
	//
	// If ctx is done before the call, nothing happens. Once the request is sent, ctx
	// ends only the retries: the outcome is settled on a detached context of bounded
	// length. The result is the file; or an error after which the large file is
	// certainly unfinished; or an error that matches [ErrFinishUnknown]. So is the
	// outcome of an answer that describes another size or other digests than those
	// of the stream. If the file is stored and not as its options ask, or that could
	// not be verified, the error matches [ErrOptionIgnored] or [ErrOptionUnverified].
	Finish(ctx context.Context, parts []Receipt, whole Digests) (File, error)

	// Cancel removes the large file and its parts: it is not listed any more and
	// cannot be finished. A repeat changes nothing and is no error, and so is a call
	// after Finish: it leaves the finished file alone. After a Finish of unknown
	// outcome it removes nothing, and fails with [ErrFinishUnknown] unless the file
	// turns out to be finished.
	Cancel(ctx context.Context) error
}

// LargeFileInfo is what is known once a large file is open. It is data, so that
// wrappers need not know it.
type LargeFileInfo struct {
	// ID names the large file to its store, and to ResumeLargeFile. Never empty.
	ID string
	// PartSizes is the sizes of all parts in order, in bytes, where Limits.ServerSizesParts
	// is set; else nil. Their sum is the declared size. The backend keeps the server's
	// own part numbers to itself.
	PartSizes []int64
	// Stored is the parts of a resumed large file that the store holds, by rising number.
	// One without digests cannot be compared with the stream, and is sent again.
	Stored []Receipt
	// Algorithms compute the digests of Stored that Limits.PartDigests does not have.
	Algorithms []Algorithm
}

// Limits is what a store takes. Sizes are in bytes; zero means no limit unless
// said otherwise. None is negative, and they do not contradict each other.
type Limits struct {
	MinPart int64 // smallest part, the last one excepted
	MaxPart int64 // largest part

	// MinParts is the fewest parts a large file is finished with: at most 2. A shorter
	// stream goes through UploadFile. Where there is none, an empty stream is a large
	// file of one empty part.
	MinParts int
	MaxParts int

	MaxFile   int64 // largest file
	MaxSingle int64 // largest UploadFile; 0: there is none, and every stream is a large file

	// ServerSizesParts reports that the server divides the file: the size must
	// be declared ([Options].Size), and LargeFileInfo.PartSizes is set.
	ServerSizesParts bool

	// EqualParts reports that all parts of a large file have one size, and that the
	// last one is not larger. A stream then cannot have larger parts as it grows.
	EqualParts bool

	// Resumable says that ResumeLargeFile and Unfinished work.
	Resumable bool

	// PartDigests are computed for every part, and for a file in one call, before it is sent.
	PartDigests []Algorithm
	// WholeDigests of the stream are passed to Finish, which also gets those that
	// Options.Digests asked for; for UploadFile they are among the part's digests.
	WholeDigests []Algorithm
}

// Algorithm makes digests. Backends bring their own, so that the writer needs no hash package.
// Algorithms of the same name are taken to be the same.
//
// A hash that New returns may have a method WriteBatch(hashes []hash.Hash, data
// [][]byte), which writes data[i] to hashes[i], all made by New, in less
// processor time than one Write after another and with the same result. It is
// called with three to eight hashes of waiting parts, whose data may differ in
// length.
type Algorithm struct {
	Name string // lower case: "sha1", "sha256", "md5", "crc32c"
	New  func() hash.Hash
}

// batchHash is a hash with the optional method described at [Algorithm].
type batchHash interface {
	WriteBatch(hashes []hash.Hash, data [][]byte)
}

// Digest is the sum of an algorithm over some bytes.
type Digest struct {
	Name string // of the [Algorithm]
	Sum  []byte
}

// Digests is a few sums, each by another algorithm.
type Digests []Digest

// Get returns the sum by the algorithm of that name, nil if there is none.
func (d Digests) Get(name string) []byte {
	for i := range d {
		if d[i].Name == name {
			return d[i].Sum
		}
	}
	return nil
}

// share reports whether there is an algorithm by which both have a sum.
func (d Digests) share(with Digests) bool {
	for i := range d {
		if with.Get(d[i].Name) != nil {
			return true
		}
	}
	return false
}

// UnknownSize is FileSpec.Size of a stream of unknown length.
const UnknownSize = -1

// FileSpec says what file is to be stored: what every store understands.
type FileSpec struct {
	Name        string
	Size        int64             // bytes, or UnknownSize
	ContentType string            // "": the store's default
	Metadata    map[string]string // the caller's metadata; not to be changed
}

// Receipt is the store's answer to one part. What the store did not say stays
// zero; what it did say is checked against the part.
type Receipt struct {
	Number  int
	Size    int64
	Digests Digests
	ETag    string // ETag or the like: comes back verbatim in Finish
}

// File is a finished file.
type File struct {
	ID   string
	Name string
	Size int64 // bytes
	// Parts is the number of parts of a large file, 0 of a file stored in one call.
	Parts int
	// Digests of the whole file: those asked for in [Options], and those the store says.
	Digests Digests
}

// UnfinishedFile is a large file that was started and neither finished nor cancelled.
type UnfinishedFile struct {
	ID      string
	Spec    FileSpec  // Size is UnknownSize where the store does not keep it
	Started time.Time // zero where the store does not say
	// Age is how long ago it was started, by the store's own clock where it has one,
	// so that a wrong clock of this machine makes no upload look old. It is zero
	// where the store does not say.
	Age time.Duration
}

// StoredPart is a part of an unfinished large file, as a store lists it to
// people. The backends that can have a method Parts for it, which changes
// nothing, so that an upload may be under way meanwhile.
type StoredPart struct {
	Receipt
	Stored time.Time // when the store took it; zero where it does not say
}

// Unsupported answers [errors.ErrUnsupported] to everything optional. Embed it in a small Backend.
type Unsupported struct{}

// Check accepts every file.
func (Unsupported) Check(FileSpec) error { return nil }

// UploadFile returns [errors.ErrUnsupported]; leave Limits.MaxSingle at 0.
func (Unsupported) UploadFile(context.Context, FileSpec, *Part) (File, error) {
	return File{}, errors.ErrUnsupported
}

// ResumeLargeFile returns [errors.ErrUnsupported]; leave Limits.Resumable false.
func (Unsupported) ResumeLargeFile(context.Context, FileSpec, string) (LargeFile, error) {
	return nil, errors.ErrUnsupported
}

// Unfinished yields [errors.ErrUnsupported]; leave Limits.Resumable false.
func (Unsupported) Unfinished(context.Context, string) iter.Seq2[UnfinishedFile, error] {
	return func(yield func(UnfinishedFile, error) bool) {
		yield(UnfinishedFile{Spec: FileSpec{Size: UnknownSize}}, errors.ErrUnsupported)
	}
}

// What errors of a restore match.
var (
	// ErrReplaced means that the version of a file that is being read can no
	// longer be read, because another one has taken its name.
	ErrReplaced = errors.New("sluice: file was replaced while it was being read")
	// ErrDamaged means that the bytes that came from a store are not those that
	// were stored: a digest differs.
	ErrDamaged = errors.New("sluice: file is damaged")
)

// Source is a store that files can be read from. The stores of this module are
// both a [Backend] and a Source.
//
// All methods may be called concurrently. The source retries; an error that it
// returns is final. A call whose context has ended does nothing at the store or
// returns soon, with an error that matches the context's error and its cause,
// and the last failure of the store if there was one. Errors carry no
// credentials.
//
// A file that was encrypted with a customer's key is read through a handle with
// that key, and through no other.
//
// A store that can remove files has a method Remove(context.Context, StoredFile)
// error. It removes exactly the version that is described, which cannot be found
// or read any more, and leaves a newer one alone. If the version is not there, the
// error matches [io/fs.ErrNotExist].
//
// Package backendtest checks a Source against every rule stated here.
type Source interface {
	// Stat describes the newest version of the file of that name. If there is no
	// such file the error matches [io/fs.ErrNotExist]. What was set at upload
	// (content type, metadata) comes back equal where the store keeps it.
	Stat(ctx context.Context, name string) (StoredFile, error)

	// ReadRange fills r with bytes of exactly the version that f describes, as
	// Stat or List returned it. It returns nil only if r is full: an answer that
	// is cut short, ignores the range, declares another length or none, or is about
	// other bytes or another version is never taken for the bytes asked for. A range
	// beyond the end of the file is an error.
	//
	// Each attempt asks for the bytes that [Range.Attempt] returns, so that one
	// that broke is resumed where it ended, and attempts wait in [Range.Backoff].
	//
	// If another version has taken the name and this one can no longer be read,
	// the error matches [ErrReplaced]; if the file is gone, [io/fs.ErrNotExist].
	// r is not touched after the call has returned.
	ReadRange(ctx context.Context, f StoredFile, r *Range) error

	// List yields the newest versions of the files whose names begin with prefix,
	// and of no others, by rising name. Unfinished large files are not among them.
	// An entry has at least ID, name, size and time, and can be given to ReadRange;
	// what else is known Stat returns. The sequence may be left before its end. An
	// error ends it.
	List(ctx context.Context, prefix string) iter.Seq2[StoredFile, error]
}

// StoredFile describes one version of a file in a [Source].
type StoredFile struct {
	// File has the ID, the name and the size, and the digests of the whole file
	// that the store keeps. Parts is 0 where the store does not know.
	File
	ContentType string
	Metadata    map[string]string
	Modified    time.Time // when it was stored

	// ETag identifies the content to the store. "": the ID does.
	ETag string
	// Receipts are the sizes of the parts in order, and their digests, where the
	// store keeps them; else nil. The sizes add up to Size.
	Receipts []Receipt
	// Algorithms compute the digests named in Digests and Receipts. A digest whose
	// algorithm is missing cannot be verified.
	Algorithms []Algorithm
}
