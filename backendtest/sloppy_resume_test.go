package backendtest

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice"
)

func (s *sloppy) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	if err := s.answer(ctx, "ResumeLargeFile"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.uploads)
	if !s.is("resumes the oldest") {
		slices.Reverse(list)
	}
	for _, u := range list {
		if id == "" && u.over == "finished" && u.spec.Name == spec.Name && !s.is("resumes the outdated") {
			break
		}
		if u.over != "" || id != "" && u.id != id || id == "" && u.spec.Name != spec.Name {
			continue
		}
		if u.spec.Name != spec.Name && !s.is("resumes other names") {
			if s.is("resume other is plain") {
				return nil, errors.New("another name")
			}
			return nil, sluice.ErrResumeMismatch
		}
		resumed := *u
		resumed.info = sluice.LargeFileInfo{ID: u.id}
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			p := u.parts[n]
			resumed.info.Stored = append(resumed.info.Stored,
				sluice.Receipt{Number: n, Size: int64(len(p.data)), Digests: p.sums, ETag: p.tag()})
		}
		if s.is("stored unsorted") {
			slices.Reverse(resumed.info.Stored)
		}
		u.taken = true
		return &sloppyHandle{&resumed, u}, nil
	}
	if s.is("resume none is plain") {
		return nil, errors.New("none")
	}
	return nil, fs.ErrNotExist
}

// sloppyHandle is a resumed upload: it has an Info of its own.
type sloppyHandle struct {
	resumed *sloppyUpload
	*sloppyUpload
}

func (h *sloppyHandle) Info() sluice.LargeFileInfo { return h.resumed.info }

func (h *sloppyHandle) Cancel(ctx context.Context) error {
	if h.store.is("cancels only what it started") {
		return nil
	}
	return h.cancel(ctx, true)
}

func (s *sloppy) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		if err := s.answer(ctx, "Unfinished"); err != nil {
			yield(sluice.UnfinishedFile{}, err)
			return
		}
		s.mu.Lock()
		list := slices.Clone(s.uploads)
		over := make(map[*sloppyUpload]string)
		for _, u := range list {
			over[u] = u.over
		}
		s.mu.Unlock()
		if s.is("lists newest first") {
			slices.Reverse(list)
		}
		for _, u := range list {
			if over[u] == "" && (strings.HasPrefix(u.spec.Name, prefix) || s.is("ignores the prefix")) {
				if !yield(sluice.UnfinishedFile{ID: u.id, Spec: u.spec}, nil) && !s.is("ignores break") {
					return
				}
			}
		}
	}
}
