package s3backend

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// UploadFile stores a whole file by PutObject. After an answer that was lost it
// looks for the file by HeadObject, and tries again if it does not see it: a
// repeat replaces what an attempt before it has stored or, with CreateOnly, is
// refused for it. If the last word is a failure and the file is not seen, the
// outcome is [sluice.ErrFinishUnknown].
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	h, err := b.describe(spec)
	if err != nil {
		return sluice.File{}, err
	}
	if p.Size != spec.Size || p.Size > b.limits.MaxSingle {
		return sluice.File{}, fmt.Errorf("s3backend: %q: a part of %d bytes for a file of %d; one call stores at most %d", spec.Name, p.Size, spec.Size, b.limits.MaxSingle)
	}
	if err := b.verifyNew(ctx, spec.Name); err != nil {
		return sluice.File{}, err
	}
	b.options.setCondition(h)
	var file sluice.File
	result := retry.Result{Outcome: retry.NotDone}
	_, err = b.client.protection.try(b.client.protection.possible(), func(sum checksum) error {
		file, err = b.put(ctx, spec, p, h.Clone(), sum, &result)
		return err
	})
	return file, err
}

// put stores a whole file, with a checksum. It takes the result of the attempt before, and sets
// its own.
func (b *Backend) put(ctx context.Context, spec sluice.FileSpec, p *sluice.Part, h http.Header, sent checksum, result *retry.Result) (sluice.File, error) {
	sum, err := sent.of(p)
	if err != nil {
		return sluice.File{}, err
	}
	payload, err := b.client.protection.payload(p, sent)
	if err != nil {
		return sluice.File{}, err
	}
	sent.set(h, sum)
	var said stored
	k := &call{
		name: "PutObject", method: http.MethodPut, key: spec.Name, header: h, secrets: b.options.Encryption.secrets(),
		part: p, sum: payload,
		// Another client was at work on the same name. A repeat tells whether
		// there is a file now. Of a large file its parts would have to be sent
		// again (S3 API reference, PutObject and CompleteMultipartUpload:
		// documented).
		passing: "ConditionalRequestConflict",
		read:    func(h http.Header, _ io.Reader) error { return said.read(h, sent, sum) },
	}
	*result, err = b.client.commitAfter(ctx, *result, k, retry.Commit{
		Repeat: true, Grace: retry.SettleTime, Doubt: sluice.ErrFinishUnknown,
		Lookup: func(ctx context.Context, _ error) (retry.Outcome, error) {
			seen, err := b.head(ctx, spec.Name, sent)
			if err == nil {
				err = seen.isSingle(p.Size, base64.StdEncoding.EncodeToString(sum), h.Get(tagHeader), b.options.CreateOnly)
			}
			if err != nil {
				return retry.Unknown, err
			}
			said = stored{tag: seen.tag, version: seen.version}
			return retry.Done, nil
		},
	})
	if err != nil {
		return sluice.File{}, exists(err)
	}
	file := sluice.File{ID: id(said.version, said.tag), Name: spec.Name, Size: p.Size}
	if sent.keeps() {
		file.Digests = sluice.Digests{{Name: sent.name, Sum: bytes.Clone(sum)}}
	}
	if said.header != nil { // nil if it was looked for
		b.client.protection.received(sent, said.header)
	}
	return file, b.verify(ctx, file, said.version, said.tag, h, said.header)
}

// isSingle says why a file is not known to be the one that was uploaded with the
// tag: by that if there is one, else by the checksum, which does not tell whose
// file it is.
func (o *object) isSingle(size int64, checksum, tag string, createOnly bool) error {
	switch {
	case o.size != size:
		return fmt.Errorf("%w: it has %d bytes, not %d", errOthers, o.size, size)
	case o.checksum != "" && o.checksum != checksum:
		return fmt.Errorf("%w: it has another checksum", errOthers)
	case tag != "" && o.ownTag != tag:
		return errOthers
	case tag == "" && (createOnly || o.checksum == ""):
		return errNotOurs
	}
	return nil
}

// What a look-up sees in place of this upload's file.
var (
	errNotOurs = errors.New("the file that is there is not known to be this upload's")
	errOthers  = errors.New("the file that is there is another upload's")
)

// exists makes a failed condition match fs.ErrExist.
func exists(err error) error {
	if isThere(err) {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return err
}
