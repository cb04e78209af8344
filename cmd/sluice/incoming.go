package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice"
)

var (
	sha256Algorithm = sluice.Algorithm{Name: "sha256", New: sha256.New}
	sha1Algorithm   = sluice.Algorithm{Name: "sha1", New: sha1.New}
)

// options are for reading the whole of f.
func (r *download) options(f sluice.StoredFile) *sluice.ReadOptions {
	given(&f, r.sha256, sha256Algorithm)
	given(&f, r.sha1, sha1Algorithm)
	return &sluice.ReadOptions{Version: &f, MemoryLimit: r.memory, Concurrency: r.concurrency}
}

// given has a digest that the user knows verified, as those are that the store keeps.
func given(f *sluice.StoredFile, sum []byte, algorithm sluice.Algorithm) {
	if sum == nil {
		return
	}
	f.Digests = append(slices.DeleteFunc(slices.Clone(f.Digests), func(d sluice.Digest) bool { return d.Name == algorithm.Name }),
		sluice.Digest{Name: algorithm.Name, Sum: sum})
	if !knows(f, algorithm.Name) {
		f.Algorithms = append(slices.Clone(f.Algorithms), algorithm)
	}
}

// knows reports whether digests of that name can be computed.
func knows(f *sluice.StoredFile, name string) bool {
	return slices.ContainsFunc(f.Algorithms, func(a sluice.Algorithm) bool { return a.Name == name })
}

// checkedBy says what the bytes of a whole file are checked by: the digests that the store keeps
// of it, and those of its parts that the store or a manifest has.
func (r *download) checkedBy(stored sluice.Digests, f sluice.StoredFile) string {
	checks := []string{"its length"}
	for _, d := range stored {
		if knows(&f, d.Name) {
			checks = append(checks, "the "+d.Name+" kept with it")
		}
	}
	if len(f.Receipts) > 0 {
		for _, d := range f.Receipts[0].Digests {
			if knows(&f, d.Name) {
				checks = append(checks, fmt.Sprintf("the %s of each of its %d parts", d.Name, len(f.Receipts)))
			}
		}
	}
	if r.sha256 != nil || r.sha1 != nil {
		checks = append(checks, "the digest given")
	}
	return "checked by " + strings.Join(checks, " and ")
}

// part returns how many bytes --offset and --length select.
func (r *download) part(f sluice.StoredFile) (int64, error) {
	if r.offset > f.Size {
		return 0, fmt.Errorf("--offset %d is beyond the %d bytes of the file", r.offset, f.Size)
	}
	n := f.Size - r.offset
	if r.length > 0 {
		n = min(n, r.length)
	}
	return n, nil
}

// rangeReader reads a part of a version of a file, some MiB in each request.
type rangeReader struct {
	ctx    context.Context
	source sluice.Source
	file   sluice.StoredFile
	offset int64
	left   int64
	buffer []byte
}

const requestSize = 8 << 20

func (r *rangeReader) Read(p []byte) (int, error) {
	if len(r.buffer) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		next := sluice.NewRange(r.offset, min(r.left, requestSize))
		if err := r.source.ReadRange(r.ctx, r.file, next); err != nil {
			return 0, err
		}
		r.buffer = next.Bytes()
		r.offset += int64(len(r.buffer))
		r.left -= int64(len(r.buffer))
	}
	n := copy(p, r.buffer)
	r.buffer = r.buffer[n:]
	return n, nil
}
