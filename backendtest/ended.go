package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/c1508ce4/sluice"
)

// contextRules are about contexts that end.
func contextRules() []rule {
	return []rule{
		{
			name:  "ended-single",
			text:  "UploadFile with a context that has ended fails with the context's error and cause, and stores nothing.",
			needs: []need{single},
			check: checkEndedSingle,
		},
		{
			name:  "ended-start",
			text:  "StartLargeFile with a context that has ended fails with the context's error and cause, and starts nothing.",
			check: checkEndedStart,
		},
		{
			name:  "ended-part",
			text:  "UploadPart with a context that has ended fails with the context's error and cause, and stores nothing.",
			check: checkEndedPart,
		},
		{
			name:  "ended-finish",
			text:  "Finish with a context that has ended fails with the context's error and cause, and the large file is still unfinished.",
			check: checkEndedFinish,
		},
		{
			name:  "ended-cancel",
			text:  "Cancel with a context that has ended fails with the context's error and cause, and the large file can still be finished.",
			check: checkEndedCancel,
		},
		{
			name:  "ended-look",
			text:  "ResumeLargeFile and Unfinished with a context that has ended fail with the context's error and cause.",
			needs: []need{resumable},
			check: checkEndedLook,
		},
		{
			name: "cut-single",
			text: "UploadFile returns soon after its context ended. If it fails, it is with the context's error " +
				"and cause, and nothing is stored, or with ErrFinishUnknown; else the file is whole.",
			needs: []need{single},
			check: checkCutSingle,
		},
		{
			name: "cut-start",
			text: "StartLargeFile returns soon after its context ended. If it fails, it is with the context's error " +
				"and cause, and nothing is left unfinished where the store lets it be found.",
			check: checkCutStart,
		},
		{
			name: "cut-part",
			text: "UploadPart returns soon after its context ended. If it fails, it is with the context's error and cause, " +
				"the lent bytes are not read any more, and the part can be sent again.",
			check: checkCutPart,
		},
		{
			name: "cut-finish",
			text: "Finish whose context ends under way returns the file; or an error, and then the large file is unfinished; " +
				"or ErrFinishUnknown.",
			check: checkCutFinish,
		},
	}
}

// ended is a context that has ended.
func (b *bench) ended() context.Context {
	ctx, cancel := context.WithCancelCause(b.ctx)
	cancel(errGaveUp)
	return ctx
}

// refused sees that a call with an ended context failed because of it.
func refused(ctx context.Context, call string, err error) error {
	if err == nil {
		return fmt.Errorf("%s: no error", call)
	}
	if !endedBy(ctx, err) {
		return fmt.Errorf("%s: the error does not match both the context's error and its cause: %w", call, err)
	}
	return nil
}

func checkEndedSingle(b *bench) error {
	ctx := b.ended()
	_, err := b.single(ctx, b.name, b.random(1000))
	if err := refused(ctx, "UploadFile", err); err != nil {
		return err
	}
	return b.absent(b.name)
}

func checkEndedStart(b *bench) error {
	ctx := b.ended()
	f, err := b.Backend.StartLargeFile(ctx, b.spec(b.name))
	if err == nil {
		b.opened = append(b.opened, f)
	}
	if err := refused(ctx, "StartLargeFile", err); err != nil {
		return err
	}
	return b.nothingLeft()
}

// nothingLeft sees that no large file of the rule is unfinished, as far as the store can tell.
func (b *bench) nothingLeft() error {
	if !b.limits.Resumable {
		return nil
	}
	ids, err := b.listed(b.name)
	if err == nil && len(ids) > 0 {
		err = fmt.Errorf("large files are left unfinished: %q", ids)
	}
	return err
}

func checkEndedPart(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	ctx := b.ended()
	other := b.random(int64(len(d.data[0])))
	_, err = d.file.UploadPart(ctx, sluice.NewPart(1, other, sums(other, b.limits.PartDigests)))
	if err := refused(ctx, "UploadPart", err); err != nil {
		return err
	}
	return d.finish(receipts)
}

func checkEndedFinish(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	ctx := b.ended()
	_, err = d.tryFinish(ctx, receipts)
	if err := refused(ctx, "Finish", err); err != nil {
		return err
	}
	if err := b.absent(b.name); err != nil {
		return err
	}
	return d.finish(receipts)
}

func checkEndedCancel(b *bench) error {
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	ctx := b.ended()
	if err := refused(ctx, "Cancel", d.file.Cancel(ctx)); err != nil {
		return err
	}
	return d.finish(receipts)
}

func checkEndedLook(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	ctx := b.ended()
	_, err = b.resume(ctx, d.spec, d.file.Info().ID)
	if err := refused(ctx, "ResumeLargeFile", err); err != nil {
		return err
	}
	var last error
	for _, err := range b.Backend.Unfinished(ctx, b.name) {
		last = err
	}
	return refused(ctx, "Unfinished", last)
}

func checkCutSingle(b *bench) error {
	outcome := error(notCut)
	for i, after := range moments() {
		name := fmt.Sprintf("%s/%d", b.name, i)
		data := b.random(min(b.limits.MaxSingle, 200_000))
		ctx, err := b.cut(after, func(ctx context.Context) error {
			_, err := b.single(ctx, name, data)
			return err
		})
		switch {
		case errors.Is(err, errSlow):
			return fmt.Errorf("UploadFile: %w", err)
		case err == nil:
			err = b.holds(name, data)
		case errors.Is(err, sluice.ErrFinishUnknown):
			err = nil
		default:
			outcome = nil
			if err = refused(ctx, "UploadFile", err); err == nil {
				err = b.absent(name)
			}
		}
		if err != nil {
			return err
		}
	}
	return outcome
}

func checkCutStart(b *bench) error {
	outcome := error(notCut)
	for _, after := range moments() {
		var f sluice.LargeFile
		ctx, err := b.cut(after, func(ctx context.Context) (err error) {
			f, err = b.Backend.StartLargeFile(ctx, b.spec(b.name))
			return err
		})
		switch {
		case errors.Is(err, errSlow):
			return fmt.Errorf("StartLargeFile: %w", err)
		case err == nil:
			if err := f.Cancel(b.ctx); err != nil {
				return fmt.Errorf("a Cancel of a large file whose start was not cut short: %w", err)
			}
		default:
			outcome = nil
			if err := refused(ctx, "StartLargeFile", err); err != nil {
				return err
			}
		}
	}
	if err := b.nothingLeftSoon(); err != nil {
		return err
	}
	return outcome
}

// nothingLeftSoon gives the store Grace to forget a large file whose start came
// to an end without it.
func (b *bench) nothingLeftSoon() error {
	deadline := time.Now().Add(b.Grace)
	for {
		err := b.nothingLeft()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(b.Grace / 50)
	}
}

func checkCutPart(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	outcome := error(notCut)
	for _, after := range moments() {
		lent := bytes.Clone(d.data[0])
		p := sluice.NewPart(1, lent, d.part(0).Digests)
		ctx, err := b.cut(after, func(ctx context.Context) error {
			_, err := d.file.UploadPart(ctx, p)
			return err
		})
		if errors.Is(err, errSlow) {
			return fmt.Errorf("UploadPart: %w", err)
		}
		if err == nil {
			continue
		}
		scribble(lent, nil) // a race, if the call still reads
		outcome = nil
		if err := refused(ctx, "UploadPart", err); err != nil {
			return err
		}
	}
	receipts, err := d.uploadAll()
	if err != nil {
		return fmt.Errorf("after UploadPart was cut short: %w", err)
	}
	if err := d.finish(receipts); err != nil {
		return err
	}
	return outcome
}

func checkCutFinish(b *bench) error {
	outcome := error(notCut)
	for i, after := range moments() {
		name := fmt.Sprintf("%s/%d", b.name, i)
		d, receipts, err := b.started(name, 2)
		if err != nil {
			return err
		}
		_, err = b.cut(after, func(ctx context.Context) error {
			underWay := ctx.Err() == nil
			_, err := d.tryFinish(ctx, receipts)
			if underWay && ctx.Err() != nil { // whatever the outcome
				outcome = nil
			}
			return err
		})
		switch {
		case errors.Is(err, errSlow):
			return fmt.Errorf("calling Finish: %w", err)
		case err == nil:
			err = b.holds(name, d.whole())
		case errors.Is(err, sluice.ErrFinishUnknown):
			err = nil
		default:
			if err = b.absent(name); err == nil {
				err = d.finish(receipts)
			}
		}
		if err != nil {
			return fmt.Errorf("a Finish cut short after %v: %w", after, err)
		}
	}
	return outcome
}
