package s3backend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// UploadFile stores a whole file by PutObject. After an answer that was lost it tries again: a repeat replaces what the
// attempt before it has stored, or, with CreateOnly, is refused for it. An upload that then ends in failure is looked for
// by HeadObject, but not with CreateOnly, since the file may be another's; if it is not seen there, the outcome is
// [sluice.ErrFinishUnknown].
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	h, err := b.describe(spec)
	if err != nil {
		return sluice.File{}, err
	}
	if p.Size != spec.Size || p.Size > b.limits.MaxSingle {
		return sluice.File{}, fmt.Errorf("s3backend: %q: a part of %d bytes for a file of %d; one call stores at most %d", spec.Name, p.Size, spec.Size, b.limits.MaxSingle)
	}
	sum, err := b.checksum.of(p)
	if err != nil {
		return sluice.File{}, err
	}
	h.Set(b.checksum.header, base64.StdEncoding.EncodeToString(sum))
	b.options.setCondition(h)
	var said stored
	k := &call{
		name: "PutObject", method: http.MethodPut, key: spec.Name, header: h, secrets: b.options.Encryption.secrets(),
		part: p, sum: b.checksum.payload(sum),
		// Somebody else was at work on the same name. A repeat tells whether there is a file now. Of a large file its
		// parts would have to be sent again (S3 API reference, PutObject and CompleteMultipartUpload: documented).
		passing: "ConditionalRequestConflict",
		read:    func(h http.Header, _ []byte) error { return said.read(h, b.checksum, sum) },
	}
	longer, cancel := retry.Outlive(ctx, retry.SettleTime)
	defer cancel()
	lost := false
	err = b.client.retry(ctx, k, nil, func(ctx context.Context) error {
		sent, err := b.client.once(ctx, longer, k)
		lost = lost || err != nil && sent && mayBeDone(err)
		return err
	})
	if err != nil && lost {
		err = b.settleSingle(ctx, spec, base64.StdEncoding.EncodeToString(sum), &said, err)
	}
	if err != nil {
		return sluice.File{}, exists(err)
	}
	return sluice.File{
		ID: id(said.version, said.tag), Name: spec.Name, Size: p.Size,
		Digests: sluice.Digests{{Name: b.checksum.name, Sum: append([]byte(nil), sum...)}},
	}, nil
}

// settleSingle learns what became of a PutObject that ended with err and may have been done. That a file of the
// same bytes exists does not tell who made it, so with CreateOnly it stays unknown.
func (b *Backend) settleSingle(ctx context.Context, spec sluice.FileSpec, sum string, said *stored, err error) error {
	settling, cancel := retry.Detached(ctx, retry.SettleTime)
	defer cancel()
	if !b.options.CreateOnly && b.client.policy.Poll(settling, func(ctx context.Context) bool {
		seen, err := b.head(ctx, spec.Name)
		*said = stored{tag: seen.tag, version: seen.version}
		return err == nil && seen.size == spec.Size && seen.checksum == sum
	}) {
		return nil
	}
	return fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, err)
}

// exists makes a failed condition match fs.ErrExist.
func exists(err error) error {
	if hasCode(err, "PreconditionFailed") && !errors.Is(err, sluice.ErrFinishUnknown) {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return err
}
