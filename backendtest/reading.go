package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/c1508ce4/sluice"
)

func checkSourceBeyond(b *bench) error {
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	n := int64(len(data))
	for _, r := range [][2]int64{{n, 1}, {n - 1, 2}, {n + 5, 10}, {0, n + 1}} {
		if _, err := b.readRange(b.ctx, f, r[0], r[1]); err == nil {
			return fmt.Errorf("ReadRange of %d bytes at %d of %d: no error", r[1], r[0], n)
		}
	}
	return nil
}

func checkSourceResumed(b *bench) error {
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	r := sluice.NewRange(10, int64(len(data))-20)
	if _, err := r.Write(data[10:700]); err != nil {
		return err
	}
	if err := b.source().ReadRange(b.ctx, f, r); err != nil {
		return fmt.Errorf("ReadRange of what is missing: %w", err)
	}
	if want := data[10 : len(data)-10]; r.Missing() > 0 || !bytes.Equal(r.Bytes(), want) {
		return fmt.Errorf("the range holds other bytes: %s", difference(r.Bytes(), want))
	}
	return nil
}

func checkSourceReplaced(b *bench) error {
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	if _, _, err := b.put(b.name, -1); err != nil {
		return err
	}
	for _, r := range []*sluice.Range{sluice.NewRange(0, int64(len(data))), sluice.NewRange(0, int64(len(data)))} {
		if _, err := r.Write(data[:100]); err != nil {
			return err
		}
		switch err := b.source().ReadRange(b.ctx, f, r); {
		case err != nil && !errors.Is(err, sluice.ErrReplaced):
			return fmt.Errorf("ReadRange of a version that was replaced: the error does not match ErrReplaced: %w", err)
		case !bytes.Equal(r.Bytes(), data[:len(r.Bytes())]):
			return errors.New("ReadRange of a version that was replaced brought bytes of another one")
		case err == nil && r.Missing() > 0:
			return fmt.Errorf("ReadRange returned nil, and %d bytes are missing", r.Missing())
		}
	}
	return nil
}

func checkSourceList(b *bench) error {
	want := []string{b.name + "/a", b.name + "/b-", b.name + "/b/c"}
	contents := make(map[string][]byte)
	for _, name := range []string{want[2], want[0], want[1]} {
		data, _, err := b.put(name, 5)
		if err != nil {
			return err
		}
		contents[name] = data
	}
	if _, err := b.start(b.name+"/unfinished", 2); err != nil {
		return err
	}
	for prefix, want := range map[string][]string{
		b.name + "/": want, b.name + "/b": want[1:], b.name + "/b/": want[2:], b.name + "/none": nil,
	} {
		var got []string
		for f, err := range b.source().List(b.ctx, prefix) {
			if err != nil {
				return fmt.Errorf("calling List: %w", err)
			}
			got = append(got, f.Name)
			data := contents[f.Name]
			if f.ID == "" || f.Size != int64(len(data)) {
				return fmt.Errorf("the list yields %q with the ID %q and %d bytes, not %d", f.Name, f.ID, f.Size, len(data))
			}
			if err := b.reads(f, 0, data); err != nil {
				return fmt.Errorf("of what List yields: %w", err)
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("List(%q) yields %q, not %q", prefix, got, want)
		}
	}
	return nil
}

func checkSourceListBreak(b *bench) error {
	for _, name := range []string{b.name + "/a", b.name + "/b"} {
		if _, _, err := b.put(name, 5); err != nil {
			return err
		}
	}
	var n int
	var failed error
	b.source().List(b.ctx, b.name)(func(_ sluice.StoredFile, err error) bool {
		n++
		failed = errors.Join(failed, err)
		return false
	})
	if failed == nil && n != 1 {
		failed = fmt.Errorf("%d files were yielded to a loop that is left at the first", n)
	}
	return failed
}

func checkSourceEnded(b *bench) error {
	data, f, err := b.put(b.name, 1000)
	if err != nil {
		return err
	}
	ctx := b.ended()
	_, err = b.source().Stat(ctx, f.Name)
	if err := refused(ctx, "Stat", err); err != nil {
		return err
	}
	_, err = b.readRange(ctx, f, 0, int64(len(data)))
	if err := refused(ctx, "ReadRange", err); err != nil {
		return err
	}
	if lists(b.Store) != "" {
		return nil
	}
	for _, err = range b.source().List(ctx, b.name) {
		if err != nil {
			break
		}
	}
	return refused(ctx, "List", err)
}

func checkSourceCut(b *bench) error {
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	under := false
	for _, after := range moments() {
		r := sluice.NewRange(0, int64(len(data)))
		ctx, err := b.cut(after, func(ctx context.Context) error { return b.source().ReadRange(ctx, f, r) })
		if errors.Is(err, errSlow) {
			return err
		}
		if err != nil && !endedBy(ctx, err) {
			return fmt.Errorf("the error does not match both the context's error and its cause: %w", err)
		}
		missing := r.Missing()
		if err != nil {
			under = true
			time.Sleep(2 * after)
		}
		if r.Missing() != missing {
			return errors.New("ReadRange has returned, and goes on to write into the range")
		}
		if !bytes.Equal(r.Bytes(), data[:len(r.Bytes())]) || err == nil && missing > 0 {
			return errors.New("the range holds other bytes than the file")
		}
	}
	if !under {
		return notCut
	}
	return nil
}
