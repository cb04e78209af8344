package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/c1508ce4/sluice"
)

func (u *sloppyUpload) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	s := u.store
	if ctx.Err() != nil && !s.is("dead ctx in Finish") {
		return sluice.File{}, s.ended(ctx)
	}
	if s.is("ignores ctx in Finish") && ctx.Done() != nil {
		select {
		case <-ctx.Done():
			<-s.release
		case <-time.After(s.latency):
		}
	}
	publishesEarly := s.is("finish fails after the work")
	if !publishesEarly {
		time.Sleep(s.latency)
	}
	s.mu.Lock()
	data, err := u.assemble(parts, whole)
	if err == nil {
		u.over = "finished"
		s.publish(u.spec, data, u.sizes(len(parts)))
	}
	s.mu.Unlock()
	if err != nil {
		return sluice.File{}, err
	}
	if publishesEarly {
		if err := s.answer(ctx, "Finish"); err != nil {
			return sluice.File{}, err
		}
	}
	file := sluice.File{ID: u.id, Name: u.spec.Name, Size: int64(len(data)), Parts: len(parts)}
	if s.is("keeps whole digests") {
		file.Digests = whole
	}
	if s.is("wrong count of parts") {
		file.Parts++
	}
	return file, nil
}

// assemble is called with the store's lock held.
func (u *sloppyUpload) assemble(parts []sluice.Receipt, whole sluice.Digests) ([]byte, error) {
	s := u.store
	if u.over != "" && !(u.over == "cancelled" && s.is("finishes after cancel")) {
		return nil, errors.New("no longer unfinished")
	}
	least := max(1, s.limits.MinParts)
	switch {
	case s.is("no parts") && len(parts) == 0:
		least = 0
	case s.is("few parts"):
		least = 1
	case s.is("needs two parts"):
		least = 2
	}
	if len(parts) < least {
		return nil, errors.New("too few parts")
	}
	numbers := slices.Sorted(maps.Keys(u.parts))
	if s.is("order of arrival") {
		slices.SortFunc(numbers, func(x, y int) int { return u.parts[x].seq - u.parts[y].seq })
	}
	var data []byte
	for i, n := range numbers {
		p := u.parts[n]
		if i < len(numbers)-1 && int64(len(p.data)) < s.limits.MinPart && !s.is("small parts") {
			return nil, errors.New("too small")
		}
		data = append(data, p.data...)
	}
	for i, r := range parts {
		p, ok := u.parts[i+1]
		if !ok && s.is("accepts gaps") {
			return data, nil
		}
		if !ok || r.Number != i+1 || r.ETag != p.tag() && !s.is("ignores tags") {
			if !ok && s.is("gap cancels") {
				u.over = "cancelled"
			}
			return nil, fmt.Errorf("part %d", i+1)
		}
	}
	right := sums(data, s.limits.WholeDigests)
	if !s.is("no whole digest check") && !bytes.Equal(right[0].Sum, whole.Get(right[0].Name)) {
		return nil, errors.New("wrong digest")
	}
	return data, nil
}

func (u *sloppyUpload) Cancel(ctx context.Context) error { return u.cancel(ctx, false) }

// cancel is refused to a handle whose large file another one has resumed.
func (u *sloppyUpload) cancel(ctx context.Context, resumed bool) error {
	s := u.store
	if err := s.answer(ctx, "Cancel"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case u.taken && !resumed:
		return errors.New("another handle has it")
	case u.over == "cancelled" && s.is("second cancel fails"):
		return errors.New("unknown large file")
	case u.over == "finished":
		if s.is("cancel removes the file") {
			delete(s.files, u.spec.Name)
		}
	case s.is("forgets cancel"):
	default:
		u.over = "cancelled"
	}
	return nil
}
