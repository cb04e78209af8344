package sluice

import (
	"bytes"
	"context"
	"fmt"
)

// This file sends: parts on the uploaders, whole files and Finish on the goroutine that ends the stream.

// upload uploads the parts that the governor lets in, until there are no more.
func (u *pipeline) upload() error {
	s := u.newSender()
	<-u.file.done // StartLargeFile returns promptly once ctx is done
	var failed error
	for p := range u.uploads.admitted {
		if err := u.uploadPart(p, s); err != nil {
			failed = err
		}
	}
	return failed
}

// uploadPart sends p, unless the stream has failed.
func (u *pipeline) uploadPart(p *Part, s *sender) error {
	defer u.done(p)
	acknowledged := false
	defer func() { u.leave(acknowledged) }()
	if u.ctx.Err() != nil {
		return nil
	}
	err := u.store(p, func() (string, error) {
		r, err := s.upload(p)
		if err == nil {
			err = agree("received", r.Size, p.Size, r.Digests, p.Digests)
		}
		return r.Tag, err
	})
	acknowledged = err == nil
	return err
}

// reuse files a part that the store has from an earlier run, under that tag.
func (u *pipeline) reuse(p *Part, tag string) error {
	defer u.done(p)
	u.uploads.pass(p.Number)
	u.meter.reused.Add(p.Size)
	return u.store(p, func() (string, error) { return tag, nil })
}

// store gets a part into the store and keeps what Finish needs of it.
func (u *pipeline) store(p *Part, upload func() (tag string, err error)) error {
	return u.guard("upload", p, func() error {
		return u.track(p, func() error {
			tag, err := upload()
			if err == nil {
				u.receipts.file(p, tag)
			}
			return err
		})
	})
}

// done ends a part that was taken from the queue.
func (u *pipeline) done(p *Part) {
	u.outstanding.Add(-1)
	u.meter.partsInFlight.Add(-1)
	u.drop(p)
}

// leave ends an upload that entered.
func (u *pipeline) leave(acknowledged bool) {
	u.uploads.leave(acknowledged)
	u.hedges.changed()
}

// uploadFile stores p as the whole file, in one call.
func (u *pipeline) uploadFile(ctx context.Context, p *Part) (File, *Error) {
	p.refs.Store(1)
	p.uploads = nil // there are no others
	defer u.drop(p)
	u.meter.network.begin(u.meter)
	defer u.meter.network.end(u.meter)
	u.meter.partsInFlight.Add(1)
	defer u.meter.partsInFlight.Add(-1)
	spec := u.plan.spec
	spec.Size = p.Size
	var f File
	err := newHashers(u.plan.limits.PartDigests, u.plan.limits.WholeDigests, u.whole.algorithms()).sum(p)
	if err == nil {
		u.meter.hashed.Add(p.Size)
		err = u.track(p, func() (err error) {
			if f, err = u.backend.UploadFile(ctx, spec, p); err != nil {
				return err
			}
			return agreeFile(f, p.Size, p.Digests)
		})
	}
	if err != nil {
		return File{}, u.error("upload", p, err)
	}
	f.Digests = merge(f.Digests, p.Digests, u.whole)
	f.Name, f.Size, f.Parts = spec.Name, p.Size, 0
	return f, nil
}

// finish makes the file visible. It is called after wait.
func (u *pipeline) finish(ctx context.Context, parts int, total int64) (File, *Error) {
	if err := u.receipts.cover(parts, total); err != nil {
		return File{}, u.error("finish", nil, err)
	}
	sums := u.whole.sums()
	owed := make(Digests, 0, len(u.plan.limits.WholeDigests))
	for _, a := range u.plan.limits.WholeDigests {
		owed = append(owed, Digest{a.Name, sums.Get(a.Name)})
	}
	f, err := u.file.large.Finish(ctx, u.receipts.list, owed)
	if err != nil {
		return File{}, u.error("finish", nil, err)
	}
	if err := agreeFile(f, total, sums); err != nil {
		return File{}, u.error("finish", nil, err)
	}
	f.Digests = merge(f.Digests, sums, u.whole)
	f.Name, f.Size, f.Parts = u.plan.spec.Name, total, len(u.receipts.list)
	return f, nil
}

// track runs an upload with everything that is seen of it: hooks and counters.
func (u *pipeline) track(p *Part, upload func() error) error {
	u.meter.hooks.partStarted(p)
	err := upload()
	if err == nil {
		u.meter.acknowledge(p)
	}
	u.meter.hooks.partDone(p, err)
	return err
}

func (u *pipeline) error(op string, p *Part, err error) *Error {
	e := &Error{Op: op, Name: u.plan.spec.Name, Err: err}
	if p != nil {
		e.Part, e.Attempts = p.Number, p.tried.number()
	}
	return e
}

// agree compares what the store said it did with size bytes of these digests. What it did not say is not
// compared.
func agree(did string, said, size int64, digests, own Digests) error {
	if said != 0 && said != size {
		return fmt.Errorf("the store says it %s %d bytes, %d were sent", did, said, size)
	}
	for _, d := range digests {
		if sum := own.Get(d.Name); sum != nil && d.Sum != nil && !bytes.Equal(sum, d.Sum) {
			return fmt.Errorf("the store says it %s bytes of %s %x, those sent have %x", did, d.Name, d.Sum, sum)
		}
	}
	return nil
}

// agreeFile is agree for a file that is visible already, which the error names.
func agreeFile(f File, size int64, own Digests) error {
	return agree(fmt.Sprintf("has finished file %s, of", f.ID), f.Size, size, f.Digests, own)
}
