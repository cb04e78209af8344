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
// Every method is required, so that a wrapper (fault injection, rate limit, logging) that embeds a
// Backend forwards all of it. What a store cannot do is data: zero values in [Limits], and
// [errors.ErrUnsupported] from the method. A small backend embeds [Unsupported]. What only one store has
// (retention, storage class, customer keys) belongs to a handle of that store, which is again a Backend:
// b2backend's With(FileOptions).
//
// All methods may be called concurrently, for different files and for the same name. Retries are the
// backend's: what it returns is final. A call returns promptly once its ctx is done, because pages are
// lent to it and the writer waits. Errors carry no credentials.
//
// Package backendtest checks a Backend against every rule stated here.
type Backend interface {
	// Limits tells what the store takes. It is constant for the life of the Backend and does no I/O.
	Limits() Limits

	// Check refuses a file that the store could not take, by name, metadata or size; the error names
	// the value and the limit. It does no I/O and is called by [New], before a byte is sent.
	Check(FileSpec) error

	// UploadFile stores a whole file in one call; spec.Size and p.Size are its length, p.Number is 0.
	// It is both the upload and the finish: if ctx ends before the store has all bytes, nothing is
	// stored; after that the outcome is settled as [LargeFile.Finish] settles it.
	// It is called only for files up to Limits.MaxSingle.
	UploadFile(ctx context.Context, spec FileSpec, p *Part) (File, error)

	// StartLargeFile begins a large file. If it fails, or ctx ends before the store's answer comes, no
	// unfinished large file is left behind where the store lets it be found; where one may be left, the error
	// matches [ErrLeftBehind]. One that was started as ctx ended and cannot be cancelled may be returned instead,
	// so that the stream's error names it.
	StartLargeFile(ctx context.Context, spec FileSpec) (LargeFile, error)

	// ResumeLargeFile opens an unfinished large file: the one with the id, or, when id is "", the
	// newest one of that name. spec says what the file must be; one that differs is refused.
	// If there is none the error matches [io/fs.ErrNotExist].
	ResumeLargeFile(ctx context.Context, spec FileSpec, id string) (LargeFile, error)

	// Unfinished lists the unfinished large files whose names begin with prefix, oldest first. To
	// cancel one: ResumeLargeFile, then Cancel. An error ends the sequence.
	Unfinished(ctx context.Context, prefix string) iter.Seq2[UnfinishedFile, error]
}

// LargeFile is a file being assembled from parts. UploadPart may be called concurrently for different part numbers,
// and where Limits.Repeatable says so twice for one. Finish and Cancel are called when no UploadPart is running.
type LargeFile interface {
	// Info is constant and does no I/O.
	Info() LargeFileInfo

	// UploadPart stores one part. A part sent again under the same number replaces the earlier one.
	// p is lent for the duration of the call; see [Part].
	UploadPart(ctx context.Context, p *Part) (Receipt, error)

	// Finish makes the file visible, whole, from the parts 1…len(parts) in order; without any it fails.
	// parts and whole are lent. If ctx is done before the call, nothing happens. Once the request is sent, ctx ends only the
	// retries: the outcome is settled on a detached context of bounded length. The result is the file; or
	// an error after which the large file is certainly unfinished; or an error that matches
	// [ErrFinishUnknown].
	Finish(ctx context.Context, parts []Receipt, whole Digests) (File, error)

	// Cancel removes the large file and its parts. A repeat changes nothing and is no error, and so
	// is a call after Finish: it leaves the finished file alone.
	Cancel(ctx context.Context) error
}

// LargeFileInfo is what is known once a large file is open. It is data, so that wrappers need not know it.
type LargeFileInfo struct {
	// ID names the large file to its store, and to ResumeLargeFile. Never empty.
	ID string
	// Plan is the sizes of all parts in order, in bytes, where the server decides them; else nil.
	// The backend keeps the server's own part numbers to itself.
	Plan []int64
	// Stored is the parts of a resumed large file that the store holds, by rising number.
	Stored []Receipt
}

// Limits is what a store takes. Sizes are in bytes; zero means no limit unless said otherwise.
type Limits struct {
	MinPart int64 // smallest part, the last one excepted
	MaxPart int64 // largest part

	// MinParts is the fewest parts a large file is finished with: at most 2. A shorter stream goes
	// through UploadFile.
	MinParts int
	MaxParts int

	MaxFile   int64 // largest file
	MaxSingle int64 // largest UploadFile; 0: there is none, and every stream is a large file

	// PlansParts says that the server divides the file: the size must be declared ([Options].Size), and
	// LargeFileInfo.Plan is set.
	PlansParts bool

	// Resumable says that ResumeLargeFile and Unfinished work.
	Resumable bool

	// Repeatable says that a part may be uploaded twice at once: the later upload replaces the earlier one by equal bytes,
	// one that is cut off leaves the other alone, and the receipt of either is good for Finish. At the end of a
	// stream the writer then sends a part a second time if its upload takes far longer than usual, and cuts off the one
	// that is not done first.
	Repeatable bool

	// PartDigests are computed for every part, and for a file in one call, before it is sent.
	PartDigests []Algorithm
	// WholeDigests of the stream are owed to Finish; for UploadFile they are among the part's digests.
	WholeDigests []Algorithm
}

// Algorithm makes digests. Backends bring their own, so that the writer needs no hash package.
// Algorithms of the same name are taken to be the same.
type Algorithm struct {
	Name string // lower case: "sha1", "sha256", "md5", "crc32c"
	New  func() hash.Hash
	// Together, if not nil, writes data[i] to hashes[i], which New made, in less processor time than one after the
	// other takes. It is called with three to eight hashes of parts that wait; their data may differ in length.
	Together func(hashes []hash.Hash, data [][]byte)
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

// UnknownSize is FileSpec.Size of a stream whose length nobody declared.
const UnknownSize = -1

// FileSpec says what file is to be stored: what every store understands.
type FileSpec struct {
	Name        string
	Size        int64             // bytes, or UnknownSize
	ContentType string            // "": the store's default
	Info        map[string]string // the caller's metadata; not to be changed
	// Uploads is how many parts may be sent at once, 0 if that is not known. It is not a property of the file: a
	// store may make ready for them.
	Uploads int
}

// Receipt is the store's answer to one part. What the store did not say stays zero; what it did say is
// checked against the part.
type Receipt struct {
	Number  int
	Size    int64
	Digests Digests
	Tag     string // ETag or the like: comes back verbatim in Finish
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
	Spec    FileSpec // Size is UnknownSize where the store does not keep it
	Started time.Time
}

// StoredPart is a part of an unfinished large file, as a store lists it to people. The backends that can have a method
// Parts for it, which changes nothing, so that an upload may be under way meanwhile.
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
