package faults

import (
	"context"
	"errors"
	"iter"

	"github.com/c1508ce4/sluice"
)

var _ sluice.Source = (*Backend)(nil)

// asSource returns the inner backend as a Source, or else an error that matches
// [errors.ErrUnsupported].
func (b *Backend) asSource() (sluice.Source, error) {
	if s, ok := b.inner.(sluice.Source); ok {
		return s, nil
	}
	return nil, errors.ErrUnsupported
}

// Stat is an Op of the kind Stat.
func (b *Backend) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	s, err := b.asSource()
	if err != nil {
		return sluice.StoredFile{}, err
	}
	return call(ctx, b, Op{Kind: Stat, Name: name}, nil,
		func() (sluice.StoredFile, error) { return s.Stat(ctx, name) }, nil)
}

// ReadRange is an Op of the kind ReadRange.
func (b *Backend) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	s, err := b.asSource()
	if err != nil {
		return err
	}
	_, err = call(ctx, b, Op{Kind: ReadRange, Name: f.Name}, nil,
		func() (struct{}, error) { return struct{}{}, s.ReadRange(ctx, f, r) }, nil)
	return err
}

// List is an Op of the kind List. It begins with the iteration, and ends when
// the whole list is read, before the first of it is yielded.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		s, err := b.asSource()
		var list []sluice.StoredFile
		if err == nil {
			list, err = call(ctx, b, Op{Kind: List, Name: prefix}, nil, func() ([]sluice.StoredFile, error) {
				var list []sluice.StoredFile
				for f, err := range s.List(ctx, prefix) {
					if err != nil {
						return list, err
					}
					list = append(list, f)
				}
				return list, nil
			}, nil)
		}
		for _, f := range list {
			if !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(sluice.StoredFile{}, err)
		}
	}
}

// Remove is an Op of the kind Remove.
func (b *Backend) Remove(ctx context.Context, f sluice.StoredFile) error {
	s, ok := b.inner.(interface {
		Remove(ctx context.Context, f sluice.StoredFile) error
	})
	if !ok {
		return errors.ErrUnsupported
	}
	_, err := call(ctx, b, Op{Kind: Remove, Name: f.Name}, nil,
		func() (struct{}, error) { return struct{}{}, s.Remove(ctx, f) }, nil)
	return err
}
