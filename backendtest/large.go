package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
)

// largeRules are about large files that are made as they should be.
func largeRules() []rule {
	return []rule{
		{
			name:  "large-exact",
			text:  "Finish makes a file of exactly the parts, in the order of their numbers, and File describes it.",
			check: checkLargeExact,
		},
		{
			name:  "large-info",
			text:  "Info is constant; its ID is not empty; it has a plan of the declared size if, and only if, Limits.ServerSizesParts says so.",
			check: checkInfo,
		},
		{
			name:  "large-hidden",
			text:  "Nothing of a large file is visible before Finish.",
			check: checkHidden,
		},
		{
			name:  "large-one-part",
			text:  "A large file may have one part if Limits.MinParts is below 2.",
			needs: []need{onePartEnough, noPlan},
			check: func(b *bench) error { return checkOnePart(b, 1000) },
		},
		{
			name:  "large-empty",
			text:  "Where there is no UploadFile, an empty file is a large file of one empty part.",
			needs: []need{noSingle, onePartEnough, noPlan},
			check: func(b *bench) error { return checkOnePart(b, 0) },
		},
		{
			name:  "part-order",
			text:  "Parts may be uploaded in any order.",
			check: checkOrder,
		},
		{
			name:  "part-concurrent",
			text:  "Parts of one large file may be uploaded concurrently.",
			check: checkConcurrentParts,
		},
		{
			name:  "part-again",
			text:  "A part sent again under the same number replaces the earlier one.",
			check: checkAgain,
		},
		{
			name:  "receipt",
			text:  "What a Receipt says of number, size and digests is true of the part.",
			check: checkReceipt,
		},
		{
			name:  "receipt-tag",
			text:  "A store that gives tags wants them back: Finish with the tags of other parts fails, with equal ones it succeeds.",
			check: checkTag,
		},
		{
			name:  "large-same-name",
			text:  "Any number of large files of one name may be open at once; each has an ID and parts of its own.",
			check: checkSameName,
		},
	}
}

func checkLargeExact(b *bench) error {
	d, receipts, err := b.started(b.name, 3)
	if err != nil {
		return err
	}
	file, err := d.tryFinish(b.ctx, receipts)
	switch {
	case err != nil:
		return fmt.Errorf("calling Finish: %w", err)
	case file.ID == "":
		return errors.New("File.ID is empty")
	case file.Name != b.name:
		return fmt.Errorf("File.Name is %q, not %q", file.Name, b.name)
	case file.Size != int64(len(d.whole())):
		return fmt.Errorf("File.Size is %d, not %d", file.Size, len(d.whole()))
	case file.Parts != len(d.data):
		return fmt.Errorf("File.Parts is %d, not %d", file.Parts, len(d.data))
	}
	return b.holds(b.name, d.whole())
}

func checkInfo(b *bench) error {
	d, err := b.start(b.name, 1)
	if err != nil {
		return err
	}
	before := d.file.Info()
	if _, err := d.uploadAll(); err != nil {
		return err
	}
	var planned int64
	for _, size := range before.PartSizes {
		planned += size
	}
	switch after := d.file.Info(); {
	case before.ID == "":
		return errors.New("LargeFileInfo.ID is empty")
	case !reflect.DeepEqual(before, after):
		return fmt.Errorf("the Info says %+v at first and %+v later", before, after)
	case len(before.Stored) > 0:
		return fmt.Errorf("a new large file has stored parts: %+v", before.Stored)
	case b.limits.ServerSizesParts && planned != b.Size:
		return fmt.Errorf("the parts of the plan have %d bytes, the declared size is %d", planned, b.Size)
	case !b.limits.ServerSizesParts && before.PartSizes != nil:
		return fmt.Errorf("there is a plan, %v, and Limits.ServerSizesParts is false", before.PartSizes)
	}
	return nil
}

func checkHidden(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	if err := b.absent(b.name); err != nil {
		return fmt.Errorf("after StartLargeFile: %w", err)
	}
	for i := range d.data {
		if _, err := d.upload(i); err != nil {
			return err
		}
		if err := b.absent(b.name); err != nil {
			return fmt.Errorf("after UploadPart of part %d of %d: %w", i+1, len(d.data), err)
		}
	}
	return nil
}

func checkOnePart(b *bench, size int64) error {
	d, err := b.start(b.name, 1)
	if err != nil {
		return err
	}
	d.data[0] = d.data[0][:size]
	receipts, err := d.uploadAll()
	if err != nil {
		return err
	}
	return d.finish(receipts)
}

func checkOrder(b *bench) error {
	d, err := b.start(b.name, 3)
	if err != nil {
		return err
	}
	receipts := make([]sluice.Receipt, len(d.data))
	for i := len(d.data) - 1; i >= 0; i-- {
		if receipts[i], err = d.upload(i); err != nil {
			return err
		}
	}
	return d.finish(receipts)
}

func checkConcurrentParts(b *bench) error {
	n := 8
	if b.limits.ServerSizesParts {
		n = 2
	}
	if b.limits.MaxParts > 0 {
		n = min(n, b.limits.MaxParts)
	}
	d, err := b.start(b.name, n)
	if err != nil {
		return err
	}
	receipts := make([]sluice.Receipt, len(d.data))
	var group errgroup.Group
	group.SetLimit(8)
	for i := range d.data {
		group.Go(func() (err error) {
			receipts[i], err = d.upload(i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return d.finish(receipts)
}

func checkAgain(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	for _, text := range []string{"the same bytes", "other bytes"} {
		if receipts[0], err = d.upload(0); err != nil {
			return fmt.Errorf("again with %s: %w", text, err)
		}
		d.data[0] = b.random(int64(len(d.data[0])))
	}
	if receipts[0], err = d.upload(0); err != nil {
		return fmt.Errorf("again with other bytes: %w", err)
	}
	return d.finish(receipts)
}

func checkReceipt(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	for i := range d.data {
		r, err := d.file.UploadPart(b.ctx, d.part(i))
		if err != nil {
			return fmt.Errorf("UploadPart of part %d: %w", i+1, err)
		}
		if err := describes(r, d.part(i)); err != nil {
			return fmt.Errorf("the receipt of part %d: %w", i+1, err)
		}
	}
	return nil
}

// describes compares what a receipt says with the part. What the store did not say is not compared.
func describes(r sluice.Receipt, p *sluice.Part) error {
	if r.Number != 0 && r.Number != p.Number {
		return fmt.Errorf("it says number %d, not %d", r.Number, p.Number)
	}
	if r.Size != 0 && r.Size != p.Size {
		return fmt.Errorf("it says %d bytes, not %d", r.Size, p.Size)
	}
	for _, d := range r.Digests {
		if own := p.Digests.Get(d.Name); own != nil && len(d.Sum) > 0 && !bytes.Equal(own, d.Sum) {
			return fmt.Errorf("it says %s %x, not %x", d.Name, d.Sum, own)
		}
	}
	return nil
}

func checkTag(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	if receipts[0].ETag == "" {
		return skipped("Receipt.ETag is empty: the store gives no tags")
	}
	receipts[0].ETag, receipts[1].ETag = receipts[1].ETag, receipts[0].ETag
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return errors.New("a Finish with the tags of other parts: no error")
	}
	receipts[0].ETag, receipts[1].ETag = strings.Clone(receipts[1].ETag), strings.Clone(receipts[0].ETag)
	return d.finish(receipts)
}

// sameNames is how many large files of one name checkSameName opens.
const sameNames = 12

func checkSameName(b *bench) error {
	drafts := make([]*draft, sameNames)
	receipts := make([][]sluice.Receipt, sameNames)
	ids := make(map[string]bool)
	for i := range drafts {
		var err error
		if drafts[i], err = b.start(b.name, 2); err != nil {
			return err
		}
		id := drafts[i].file.Info().ID
		if ids[id] {
			return fmt.Errorf("two large files have the ID %q", id)
		}
		ids[id] = true
	}
	var group errgroup.Group
	for i, d := range drafts {
		group.Go(func() (err error) {
			receipts[i], err = d.uploadAll()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, d := range drafts[:sameNames-1] {
		if i%2 == 0 {
			if err := d.file.Cancel(b.ctx); err != nil {
				return fmt.Errorf("calling Cancel: %w", err)
			}
		}
	}
	return drafts[sameNames-1].finish(receipts[sameNames-1])
}
