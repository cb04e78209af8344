package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/c1508ce4/sluice"
)

// lendingRules are about the bytes and slices that are lent for the duration of a call.
func lendingRules() []rule {
	return []rule{
		{
			name:  "lent-single",
			text:  "UploadFile keeps neither the bytes nor the digests of the part: after the call they are others.",
			needs: []need{single},
			check: checkLentSingle,
		},
		{
			name:  "lent-part",
			text:  "UploadPart keeps neither the bytes nor the digests of the part: after the call they are others.",
			check: checkLentPart,
		},
		{
			name:  "lent-finish",
			text:  "Finish keeps neither the receipts nor the digests: after the call they are others.",
			check: checkLentFinish,
		},
		{
			name:  "lent-unchanged",
			text:  "Bytes and digests are not changed during a call.",
			check: checkUnchanged,
		},
	}
}

// scribble puts other bytes into what was lent.
func scribble(data []byte, digests sluice.Digests) {
	for i := range data {
		data[i] ^= 0x5a
	}
	for i := range digests {
		scribble(digests[i].Sum, nil)
	}
}

func checkLentSingle(b *bench) error {
	data := b.random(min(b.limits.MaxSingle, 70_000))
	lent := bytes.Clone(data)
	digests := b.singlePart(data).Digests
	p := sluice.NewPart(0, lent, digests)
	file, err := b.Backend.UploadFile(b.ctx, sluice.FileSpec{Name: b.name, Size: p.Size}, p)
	if err != nil {
		return fmt.Errorf("UploadFile: %w", err)
	}
	scribble(lent, digests)
	if err := describes(sluice.Receipt{Digests: file.Digests}, b.singlePart(data)); err != nil {
		return fmt.Errorf("the File has kept the digests: %w", err)
	}
	return b.holds(b.name, data)
}

func checkLentPart(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	var receipts []sluice.Receipt
	for i := range d.data {
		lent := bytes.Clone(d.data[i])
		digests := d.part(i).Digests
		r, err := d.file.UploadPart(b.ctx, d.lend(i, lent, digests))
		if err != nil {
			return fmt.Errorf("UploadPart of part %d: %w", i+1, err)
		}
		scribble(lent, digests)
		if err := describes(sluice.Receipt{Digests: r.Digests}, d.part(i)); err != nil {
			return fmt.Errorf("the receipt of part %d has kept the digests: %w", i+1, err)
		}
		receipts = append(receipts, d.receipt(i, r.ETag))
	}
	return d.finish(receipts)
}

func checkLentFinish(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	whole := sums(d.whole(), b.limits.WholeDigests)
	file, err := d.file.Finish(b.ctx, receipts, whole)
	if err != nil {
		return fmt.Errorf("calling Finish: %w", err)
	}
	for i := range receipts {
		scribble(nil, receipts[i].Digests)
		receipts[i] = sluice.Receipt{Number: -1}
	}
	scribble(nil, whole)
	want := sluice.NewPart(0, nil, sums(d.whole(), b.limits.WholeDigests))
	if err := describes(sluice.Receipt{Digests: file.Digests}, want); err != nil {
		return fmt.Errorf("the File has kept the digests: %w", err)
	}
	return b.holds(b.name, d.whole())
}

func checkUnchanged(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	p := sluice.NewPart(1, d.data[0], d.part(0).Digests)
	if err := watched(d.data[0], p, func() error {
		_, err := d.file.UploadPart(b.ctx, p)
		return err
	}); err != nil {
		return fmt.Errorf("UploadPart: %w", err)
	}
	if b.limits.MaxSingle == 0 {
		return nil
	}
	data := b.random(min(b.limits.MaxSingle, 70_000))
	p = sluice.NewPart(0, data, b.singlePart(data).Digests)
	if err := watched(data, p, func() error {
		_, err := b.Backend.UploadFile(b.ctx, sluice.FileSpec{Name: b.name + "/single", Size: p.Size}, p)
		return err
	}); err != nil {
		return fmt.Errorf("UploadFile: %w", err)
	}
	return nil
}

// watched makes a call and sees that what is lent to it stays as it is, at the end and, by another
// goroutine, meanwhile.
func watched(data []byte, p *sluice.Part, call func() error) error {
	before, digests := bytes.Clone(data), cloneDigests(p.Digests)
	done, seen := make(chan struct{}), make(chan bool)
	go func() {
		same := true
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			same = same && bytes.Equal(data, before)
			select {
			case <-done:
				seen <- same
				return
			case <-tick.C:
			}
		}
	}()
	err := call()
	close(done)
	same := <-seen
	switch {
	case err != nil:
		return err
	case !same || !bytes.Equal(data, before):
		return errors.New("the call changed the bytes it was lent")
	}
	for i, d := range digests {
		if len(p.Digests) != len(digests) || p.Digests[i].Name != d.Name || !bytes.Equal(p.Digests[i].Sum, d.Sum) {
			return fmt.Errorf("the call changed the digests it was lent: they are %x, not %x", p.Digests, digests)
		}
	}
	return nil
}
