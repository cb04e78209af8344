package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// cancelRules are about the ends of a large file.
func cancelRules() []rule {
	return []rule{
		{
			name:  "cancel-removes",
			text:  "Cancel removes the large file with its parts: it is not listed, and cannot be finished.",
			check: checkCancelRemoves,
		},
		{
			name:  "cancel-twice",
			text:  "A second Cancel changes nothing and is no error.",
			check: checkCancelTwice,
		},
		{
			name:  "cancel-finished",
			text:  "Cancel after Finish leaves the finished file alone and is no error.",
			check: checkCancelFinished,
		},
		{
			name:  "part-after-cancel",
			text:  "UploadPart after Cancel fails.",
			check: checkPartAfterCancel,
		},
		{
			name:  "part-after-finish",
			text:  "UploadPart after Finish fails, and the finished file stays as it is.",
			check: checkPartAfterFinish,
		},
		{
			name:  "cancel-detached",
			text:  "A large file outlives the context it was started with: parts can be sent, and Cancel works.",
			check: checkDetached,
		},
	}
}

func checkCancelRemoves(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	if err := d.file.Cancel(b.ctx); err != nil {
		return fmt.Errorf("a Cancel with parts stored: %w", err)
	}
	if b.limits.Resumable {
		ids, err := b.listed(b.name)
		if err != nil {
			return err
		}
		if slices.Contains(ids, d.file.Info().ID) {
			return errors.New("the large file is listed after Cancel")
		}
	}
	if _, err := d.tryFinish(b.ctx, receipts); err == nil {
		return errors.New("a Finish after Cancel: no error")
	}
	return b.absent(b.name)
}

func checkCancelTwice(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	for _, time := range []string{"first", "second"} {
		if err := d.file.Cancel(b.ctx); err != nil {
			return fmt.Errorf("the %s Cancel: %w", time, err)
		}
	}
	return nil
}

func checkCancelFinished(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	if err := d.finish(receipts); err != nil {
		return err
	}
	if err := d.file.Cancel(b.ctx); err != nil {
		return fmt.Errorf("a Cancel after Finish: %w", err)
	}
	return b.holds(b.name, d.whole())
}

func checkPartAfterCancel(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	if err := d.file.Cancel(b.ctx); err != nil {
		return fmt.Errorf("calling Cancel: %w", err)
	}
	if _, err := d.upload(0); err == nil {
		return errors.New("UploadPart after Cancel: no error")
	}
	return nil
}

func checkPartAfterFinish(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	if err := d.finish(receipts); err != nil {
		return err
	}
	whole := d.whole()
	d.data[0] = b.random(int64(len(d.data[0])))
	if _, err := d.upload(0); err == nil {
		return errors.New("UploadPart after Finish: no error")
	}
	return b.holds(b.name, whole)
}

func checkDetached(b *bench) error {
	outer := b.ctx
	defer func() { b.ctx = outer }()
	ctx, cancel := context.WithCancel(outer)
	b.ctx = ctx
	d, err := b.start(b.name, 2)
	cancel()
	if err != nil {
		return err
	}
	b.ctx = outer
	if _, err := d.upload(0); err != nil {
		return fmt.Errorf("after the context of StartLargeFile ended: %w", err)
	}
	if err := d.file.Cancel(outer); err != nil {
		return fmt.Errorf("a Cancel after the context of StartLargeFile ended: %w", err)
	}
	return nil
}
