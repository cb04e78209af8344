package backendtest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/c1508ce4/sluice"
)

// resumeRules are about large files that another process has started.
func resumeRules() []rule {
	return []rule{
		{
			name:  "unfinished",
			text:  "Unfinished lists the unfinished large files whose names begin with the prefix, and no others, oldest first.",
			needs: []need{resumable},
			check: checkUnfinished,
		},
		{
			name:  "unfinished-break",
			text:  "The sequence of Unfinished may be left before its end.",
			needs: []need{resumable},
			check: checkUnfinishedBreak,
		},
		{
			name:  "resume-id",
			text:  "ResumeLargeFile opens the large file with the ID; Stored has its parts, by rising number; it can be finished.",
			needs: []need{resumable},
			check: checkResumeID,
		},
		{
			name:  "resume-name",
			text:  "ResumeLargeFile without an ID opens the newest unfinished large file of the name.",
			needs: []need{resumable},
			check: checkResumeName,
		},
		{
			name:  "resume-outdated",
			text:  "ResumeLargeFile without an ID passes over large files that were started before the name's finished file.",
			needs: []need{resumable},
			check: checkResumeOutdated,
		},
		{
			name:  "resume-none",
			text:  "ResumeLargeFile matches fs.ErrNotExist if there is no such unfinished large file.",
			needs: []need{resumable},
			check: checkResumeNone,
		},
		{
			name:  "resume-other",
			text:  "ResumeLargeFile rejects a large file that is not what its FileSpec says: the error matches ErrResumeMismatch, or fs.ErrNotExist.",
			needs: []need{resumable},
			check: checkResumeOther,
		},
		{
			name:  "resume-cancel",
			text:  "What Unfinished lists is cancelled by ResumeLargeFile and Cancel.",
			needs: []need{resumable},
			check: checkResumeCancel,
		},
	}
}

func checkUnfinished(b *bench) error {
	var want []string
	for _, name := range []string{b.name + "/b", b.name + "/a", b.name + "/b"} {
		d, err := b.start(name, 2)
		if err != nil {
			return err
		}
		want = append(want, d.file.Info().ID)
	}
	if _, err := b.start(home+"other/"+b.name, 2); err != nil {
		return err
	}
	for i, name := range []string{b.name + "/cancelled", b.name + "/finished"} {
		d, receipts, err := b.started(name, 2)
		if err != nil {
			return err
		}
		if i == 0 {
			err = d.file.Cancel(b.ctx)
		} else {
			_, err = d.tryFinish(b.ctx, receipts)
		}
		if err != nil {
			return err
		}
	}
	got, err := b.listed(b.name)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the large files %q are listed, not %q", got, want)
	}
	return nil
}

func checkUnfinishedBreak(b *bench) error {
	for range 3 {
		if _, err := b.start(b.name, 2); err != nil {
			return err
		}
	}
	var n int
	var failed error
	b.Backend.Unfinished(b.ctx, b.name)(func(_ sluice.UnfinishedFile, err error) bool {
		n++
		failed = errors.Join(failed, err)
		return n < 2
	})
	if failed == nil && n != 2 {
		failed = fmt.Errorf("%d large files were yielded to a loop that is left at the second", n)
	}
	return failed
}

func checkResumeID(b *bench) error {
	d, err := b.start(b.name, 3)
	if err != nil {
		return err
	}
	tags := make(map[int]string)
	for i := len(d.data) - 1; i >= 0; i-- {
		if i == 1 {
			continue
		}
		r, err := d.upload(i)
		if err != nil {
			return err
		}
		tags[i+1] = r.ETag
	}
	id := d.file.Info().ID
	if d.file, err = b.resume(b.ctx, d.spec, id); err != nil {
		return fmt.Errorf("ResumeLargeFile: %w", err)
	}
	info := d.file.Info()
	if info.ID != id {
		return fmt.Errorf("the large file %q was asked for, %q is open", id, info.ID)
	}
	receipts := make([]sluice.Receipt, len(d.data))
	var last int
	for _, r := range info.Stored {
		if _, sent := tags[r.Number]; !sent || r.Number <= last {
			return fmt.Errorf("the Stored has part %d after %d, the parts sent are %v", r.Number, last, tags)
		}
		last = r.Number
		delete(tags, r.Number)
		if err := describes(r, d.part(r.Number-1)); err != nil {
			return fmt.Errorf("the stored part %d: %w", r.Number, err)
		}
		if r.Size == 0 {
			return fmt.Errorf("the size of the stored part %d is missing", r.Number)
		}
		receipts[r.Number-1] = d.receipt(r.Number-1, r.ETag)
	}
	if len(tags) > 0 {
		return fmt.Errorf("the Stored lacks the parts %v", tags)
	}
	if receipts[1], err = d.upload(1); err != nil {
		return err
	}
	return d.finish(receipts)
}

func checkResumeName(b *bench) error {
	var newest string
	for range 3 {
		d, err := b.start(b.name, 2)
		if err != nil {
			return err
		}
		newest = d.file.Info().ID
	}
	if _, err := b.start(b.name+"/longer", 2); err != nil {
		return err
	}
	f, err := b.resume(b.ctx, b.spec(b.name), "")
	if err != nil {
		return fmt.Errorf("ResumeLargeFile: %w", err)
	}
	if got := f.Info().ID; got != newest {
		return fmt.Errorf("the large file %q is open, the newest is %q", got, newest)
	}
	return nil
}

func checkResumeOutdated(b *bench) error {
	older, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	if _, err := d.tryFinish(b.ctx, receipts); err != nil {
		return fmt.Errorf("calling Finish: %w", err)
	}
	switch f, err := b.resume(b.ctx, b.spec(b.name), ""); {
	case err == nil:
		return fmt.Errorf("the large file %q is open, and the name has a newer finished file", f.Info().ID)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the error does not match fs.ErrNotExist: %w", err)
	}
	if _, err := b.resume(b.ctx, b.spec(b.name), older.file.Info().ID); err != nil {
		return fmt.Errorf("ResumeLargeFile with its ID: %w", err)
	}
	return nil
}

func checkResumeNone(b *bench) error {
	none := func(when, id string) error {
		_, err := b.resume(b.ctx, b.spec(b.name), id)
		if err == nil {
			return fmt.Errorf("%s: no error", when)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: the error does not match fs.ErrNotExist: %w", when, err)
		}
		return nil
	}
	if err := none("a name nobody used", ""); err != nil {
		return err
	}
	d, receipts, err := b.started(b.name, 2)
	if err != nil {
		return err
	}
	if _, err := d.tryFinish(b.ctx, receipts); err != nil {
		return fmt.Errorf("calling Finish: %w", err)
	}
	return errors.Join(none("the name of a finished file", ""), none("the ID of a finished file", d.file.Info().ID))
}

func checkResumeOther(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	const asked = "ResumeLargeFile with the ID of a large file of another name"
	switch _, err := b.resume(b.ctx, b.spec(b.name+"/other"), d.file.Info().ID); {
	case err == nil:
		return errors.New(asked + ": no error")
	case !errors.Is(err, sluice.ErrResumeMismatch) && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the error matches neither ErrResumeMismatch nor fs.ErrNotExist: %w", asked, err)
	}
	return nil
}

func checkResumeCancel(b *bench) error {
	if _, _, err := b.started(b.name, 2); err != nil {
		return err
	}
	for u, err := range b.Backend.Unfinished(b.ctx, b.name) {
		if err != nil {
			return err
		}
		if u.Spec.Name != b.name {
			return fmt.Errorf("the large file listed is named %q, not %q", u.Spec.Name, b.name)
		}
		f, err := b.resume(b.ctx, u.Spec, u.ID)
		if err != nil {
			return fmt.Errorf("ResumeLargeFile of what was listed: %w", err)
		}
		if err := f.Cancel(b.ctx); err != nil {
			return fmt.Errorf("a Cancel of what was resumed: %w", err)
		}
	}
	return b.nothingLeft()
}
