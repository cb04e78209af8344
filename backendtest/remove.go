package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/c1508ce4/sluice"
)

func checkRemove(b *bench) error {
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	ctx := b.ended()
	if err := refused(ctx, "Remove", b.Backend.(remover).Remove(ctx, f)); err != nil {
		return err
	}
	if err := b.reads(f, 0, data); err != nil {
		return fmt.Errorf("after a Remove with a context that has ended: %w", err)
	}
	if err := b.Backend.(remover).Remove(b.ctx, f); err != nil {
		return fmt.Errorf("calling Remove: %w", err)
	}
	if _, err := b.source().Stat(b.ctx, f.Name); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("calling Stat after Remove: the error does not match fs.ErrNotExist: %v", err)
	}
	if _, err := b.readRange(b.ctx, f, 0, f.Size); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ReadRange after Remove: the error does not match fs.ErrNotExist: %v", err)
	}
	if err := b.Backend.(remover).Remove(b.ctx, f); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("calling Remove again: the error does not match fs.ErrNotExist: %v", err)
	}
	return nil
}

func checkRemoveReplaced(b *bench) error {
	_, old, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	if err := b.Backend.(remover).Remove(b.ctx, old); err != nil && !errors.Is(err, sluice.ErrReplaced) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("calling Remove of a version that was replaced: %w", err)
	}
	if err := b.reads(f, 0, data); err != nil {
		return fmt.Errorf("after Remove of the version before: %w", err)
	}
	return nil
}

// checkSourceKey stores a file with a customer's key.
func checkSourceKey(b *bench) error {
	plain := b.Backend
	b.Backend = b.Keyed
	data, f, err := b.put(b.name, 1000)
	if err != nil {
		return err
	}
	if err := b.reads(f, 0, data); err != nil {
		return fmt.Errorf("with the key: %w", err)
	}
	if err := b.reads(f, 100, data[100:200]); err != nil {
		return fmt.Errorf("with the key: %w", err)
	}
	b.Backend = plain
	got, err := b.readRange(b.ctx, f, 0, f.Size)
	if err == nil || bytes.Contains(got, data[:1]) && len(got) > 0 {
		return fmt.Errorf("ReadRange without the key brings %d bytes, and the error is %v", len(got), err)
	}
	return nil
}
