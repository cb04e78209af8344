package backendtest

import (
	"errors"
	"fmt"

	"github.com/c1508ce4/sluice"
)

// refusalRules are about large files that are not made as they should be.
func refusalRules() []rule {
	return []rule{
		{
			name:  "part-digest",
			text:  "UploadPart with digests that are not those of the bytes fails, and nothing is stored.",
			needs: []need{partDigests},
			check: checkPartDigest,
		},
		{
			name:  "part-number",
			text:  "UploadPart refuses a number below 1, and one above Limits.MaxParts or the plan.",
			check: checkNumber,
		},
		{
			name:  "part-small",
			text:  "A part smaller than Limits.MinPart that is not the last is refused, by UploadPart or by Finish.",
			needs: []need{minPart, noPlan},
			check: checkSmall,
		},
		{
			name:  "part-equal",
			text:  "Parts of several sizes are refused where Limits.EqualParts is set, and a smaller last one is not.",
			needs: []need{equalParts},
			check: checkEqual,
		},
		{
			name:  "part-large",
			text:  "A part larger than Limits.MaxPart is refused.",
			needs: []need{maxPart, noPlan},
			check: checkLarge,
		},
		{
			name:  "part-plan",
			text:  "A part whose size is not that of the plan is refused, by UploadPart or by Finish.",
			needs: []need{plan},
			check: checkPlan,
		},
		{
			name:  "finish-gap",
			text:  "Finish without one of the parts fails, and the large file is still unfinished.",
			check: checkGap,
		},
		{
			name:  "finish-none",
			text:  "Finish without any part fails, and the large file is still unfinished.",
			check: checkNone,
		},
		{
			name:  "finish-few",
			text:  "Finish with fewer parts than Limits.MinParts fails, and the large file is still unfinished.",
			needs: []need{twoPartsNeeded, noPlan},
			check: checkFew,
		},
		{
			name:  "finish-digest",
			text:  "Finish with digests that are not those of the whole fails, and the large file is still unfinished.",
			needs: []need{wholeDigests},
			check: checkWholeDigest,
		},
	}
}

func checkPartDigest(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	receipts := make([]sluice.Receipt, len(d.data))
	for i := 1; i < len(d.data); i++ {
		if receipts[i], err = d.upload(i); err != nil {
			return err
		}
	}
	p := d.part(0)
	p.Digests = spoiled(p.Digests)
	if _, err := d.file.UploadPart(b.ctx, p); err == nil {
		return errors.New("UploadPart with wrong digests: no error")
	}
	receipts[0] = d.receipt(0, "")
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return errors.New("a Finish counts on the part that was refused: no error")
	}
	if receipts[0], err = d.upload(0); err != nil {
		return fmt.Errorf("after the refusal, with right digests: %w", err)
	}
	return d.finish(receipts)
}

func checkNumber(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	numbers := []int{-1, 0}
	if b.limits.ServerSizesParts {
		numbers = append(numbers, len(d.data)+1)
	} else if b.limits.MaxParts > 0 {
		numbers = append(numbers, b.limits.MaxParts+1)
	}
	for _, n := range numbers {
		p := d.part(0)
		p.Number = n
		if _, err := d.file.UploadPart(b.ctx, p); err == nil {
			return fmt.Errorf("UploadPart of part number %d: no error", n)
		}
	}
	receipts, err := d.uploadAll()
	if err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	return d.finish(receipts)
}

func checkSmall(b *bench) error {
	d, err := b.start(b.name, 3)
	if err != nil {
		return err
	}
	d.data[0] = d.data[0][:b.limits.MinPart-1]
	receipts, err := d.uploadAll()
	if err != nil {
		return nil // refused early
	}
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return fmt.Errorf("UploadPart and Finish take a first part of %d bytes, Limits.MinPart is %d",
			len(d.data[0]), b.limits.MinPart)
	}
	return b.absent(b.name)
}

func checkEqual(b *bench) error {
	d, err := b.start(b.name, 3)
	if err != nil {
		return err
	}
	d.data[1] = b.random(int64(len(d.data[1])) + 1)
	receipts, err := d.uploadAll()
	if err != nil {
		return nil // refused early
	}
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return fmt.Errorf("UploadPart and Finish take parts of %d and %d bytes, and Limits.EqualParts is set",
			len(d.data[0]), len(d.data[1]))
	}
	return b.absent(b.name)
}

func checkLarge(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	d.data[0] = b.random(b.limits.MaxPart + 1)
	if _, err := d.upload(0); err == nil {
		return fmt.Errorf("UploadPart takes %d bytes, Limits.MaxPart is %d", len(d.data[0]), b.limits.MaxPart)
	}
	return nil
}

func checkPlan(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	// One byte moves from the first part to the second, so that the sum is right.
	first := d.data[0]
	d.data[1] = append(first[len(first)-1:len(first):len(first)], d.data[1]...)
	d.data[0] = first[:len(first)-1]
	receipts, err := d.uploadAll()
	if err != nil {
		return nil // refused early
	}
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return fmt.Errorf("UploadPart and Finish take a first part of %d bytes, the plan says %d", len(d.data[0]), len(first))
	}
	return b.absent(b.name)
}

func checkGap(b *bench) error {
	d, err := b.start(b.name, 3)
	if err != nil {
		return err
	}
	receipts := make([]sluice.Receipt, len(d.data))
	for i := range d.data {
		if i == 1 {
			receipts[i] = d.receipt(i, "")
			continue
		}
		if receipts[i], err = d.upload(i); err != nil {
			return err
		}
	}
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return errors.New("a Finish with part 2 not uploaded: no error")
	}
	without := append([]sluice.Receipt{receipts[0]}, receipts[2:]...)
	if _, err := d.tryFinish(b.ctx, without); err == nil {
		return errors.New("a Finish with receipts of the parts 1, 3, …: no error")
	}
	if err := b.absent(b.name); err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	if receipts[1], err = d.upload(1); err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	return d.finish(receipts)
}

func checkNone(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	if _, err := d.file.Finish(b.ctx, nil, sums(nil, b.limits.WholeDigests)); err == nil {
		return errors.New("a Finish without any part: no error")
	}
	if err := b.absent(b.name); err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	receipts, err := d.uploadAll()
	if err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	return d.finish(receipts)
}

func checkFew(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	first, err := d.upload(0)
	if err != nil {
		return err
	}
	if _, err := d.file.Finish(b.ctx, []sluice.Receipt{first}, sums(d.data[0], b.limits.WholeDigests)); err == nil {
		return fmt.Errorf("a Finish with one part: no error, Limits.MinParts is %d", b.limits.MinParts)
	}
	second, err := d.upload(1)
	if err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	return d.finish([]sluice.Receipt{first, second})
}

func checkWholeDigest(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	wrong := spoiled(sums(d.whole(), b.limits.WholeDigests))
	if _, err := d.file.Finish(b.ctx, receipts, wrong); err == nil {
		return errors.New("a Finish with wrong digests of the whole: no error")
	}
	if err := b.absent(b.name); err != nil {
		return fmt.Errorf("after the refusal: %w", err)
	}
	return d.finish(receipts)
}
