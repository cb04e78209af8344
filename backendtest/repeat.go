package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
)

// repeatRules are about parts that are uploaded twice at once.
func repeatRules() []rule {
	return []rule{
		{
			name:  "part-twice",
			text:  "Where Limits.Repeatable says so a part may be uploaded twice at once, and the receipt of either call is good for Finish.",
			needs: []need{repeatable},
			check: checkTwice,
		},
		{
			name: "part-overtaken",
			text: "Where Limits.Repeatable says so, of two calls for a part the one that is cut off once the other has returned " +
				"leaves the stored part alone.",
			needs: []need{repeatable},
			check: checkOvertaken,
		},
	}
}

func checkTwice(b *bench) error {
	for i, filed := range []string{"first", "second"} {
		d, err := b.start(fmt.Sprintf("%s/%d", b.name, i), 2)
		if err != nil {
			return err
		}
		receipts := make([]sluice.Receipt, 2)
		var group errgroup.Group
		for j := range receipts {
			group.Go(func() (err error) {
				time.Sleep(time.Duration(j) * time.Millisecond) // so that it is known which is the later one
				receipts[j], err = d.upload(0)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return fmt.Errorf("two at once: %w", err)
		}
		if err := d.finishAfter(receipts[i]); err != nil {
			return fmt.Errorf("with the receipt of the %s call: %w", filed, err)
		}
	}
	return nil
}

// finishAfter sends the parts after the first, whose receipt is given, and finishes.
func (d *draft) finishAfter(first sluice.Receipt) error {
	receipts := []sluice.Receipt{first}
	for i := 1; i < len(d.data); i++ {
		r, err := d.upload(i)
		if err != nil {
			return err
		}
		receipts = append(receipts, r)
	}
	return d.finish(receipts)
}

func checkOvertaken(b *bench) error {
	outcome := error(notCut)
	for i, later := range moments() {
		d, err := b.start(fmt.Sprintf("%s/%d", b.name, i), 2)
		if err != nil {
			return err
		}
		var first sluice.Receipt
		var group errgroup.Group
		returned := make(chan time.Time)
		group.Go(func() (err error) {
			defer close(returned)
			first, err = d.upload(0)
			return err
		})
		time.Sleep(later)
		lent := bytes.Clone(d.data[0])
		p := d.lend(0, lent, d.part(0).Digests)
		underWay := false
		ctx, err := b.cutOn(returned, func(ctx context.Context) error {
			underWay = ctx.Err() == nil
			_, err := d.file.UploadPart(ctx, p)
			return err
		})
		if errors.Is(err, errSlow) {
			return fmt.Errorf("UploadPart: %w", err)
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err != nil {
			scribble(lent, nil) // a race, if the call still reads
			if underWay {
				outcome = nil
			}
			if err := refused(ctx, "UploadPart", err); err != nil {
				return err
			}
		}
		if err := d.finishAfter(first); err != nil {
			return fmt.Errorf("after a second call was cut off: %w", err)
		}
	}
	return outcome
}
