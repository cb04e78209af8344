package backendtest

import (
	"errors"
	"fmt"
	"maps"

	"github.com/c1508ce4/sluice"
)

// singleRules are about UploadFile.
func singleRules() []rule {
	return []rule{
		{
			name:  "single-empty",
			text:  "UploadFile stores an empty file.",
			needs: []need{single},
			check: func(b *bench) error { return checkSingle(b, 0) },
		},
		{
			name:  "single-byte",
			text:  "UploadFile stores a file of one byte.",
			needs: []need{single},
			check: func(b *bench) error { return checkSingle(b, 1) },
		},
		{
			name:  "single-exact",
			text:  "UploadFile stores exactly the bytes of the part, and File says their number.",
			needs: []need{single},
			check: func(b *bench) error { return checkSingle(b, min(b.limits.MaxSingle, 70_001)) },
		},
		{
			name:  "single-digest",
			text:  "UploadFile with digests that are not those of the bytes fails, and nothing is stored.",
			needs: []need{single, anyDigests},
			check: checkSingleDigest,
		},
		{
			name:  "single-size",
			text:  "UploadFile rejects a part whose size is not that of the FileSpec, and nothing is stored.",
			needs: []need{single},
			check: checkSingleSize,
		},
		{
			name:  "metadata",
			text:  "A file has the content type and the metadata of its FileSpec, whichever way it was stored.",
			needs: []need{stat},
			check: checkMetadata,
		},
	}
}

func checkSingle(b *bench, size int64) error {
	data := b.random(size)
	file, err := b.single(b.ctx, b.name, data)
	switch {
	case err != nil:
		return fmt.Errorf("UploadFile: %w", err)
	case file.ID == "":
		return errors.New("File.ID is empty")
	case file.Name != b.name:
		return fmt.Errorf("File.Name is %q, not %q", file.Name, b.name)
	case file.Size != size:
		return fmt.Errorf("File.Size is %d, not %d", file.Size, size)
	case file.Parts != 0:
		return fmt.Errorf("File.Parts is %d, not 0", file.Parts)
	}
	return b.holds(b.name, data)
}

func checkSingleDigest(b *bench) error {
	data := b.random(1000)
	p := b.singlePart(data)
	p.Digests = spoiled(p.Digests)
	spec := sluice.FileSpec{Name: b.name, Size: p.Size}
	if _, err := b.Backend.UploadFile(b.ctx, spec, p); err == nil {
		return errors.New("UploadFile with wrong digests: no error")
	}
	return b.absent(b.name)
}

func checkSingleSize(b *bench) error {
	data := b.random(1000)
	for _, size := range []int64{999, 1001, 0} {
		if _, err := b.Backend.UploadFile(b.ctx, sluice.FileSpec{Name: b.name, Size: size}, b.singlePart(data)); err == nil {
			return fmt.Errorf("UploadFile of 1000 bytes for a FileSpec.Size of %d: no error", size)
		}
		if err := b.absent(b.name); err != nil {
			return err
		}
	}
	return nil
}

func checkMetadata(b *bench) error {
	described := func(spec sluice.FileSpec) sluice.FileSpec {
		spec.ContentType = "text/plain"
		spec.Metadata = map[string]string{"origin": "conformance kit", "count": "12"}
		return spec
	}
	compare := func(want sluice.FileSpec) error {
		got, err := b.Stat(want.Name)
		switch {
		case err != nil:
			return fmt.Errorf("Store.Stat: %w", err)
		case got.ContentType != want.ContentType:
			return fmt.Errorf("the content type is %q, not %q", got.ContentType, want.ContentType)
		case !maps.Equal(got.Metadata, want.Metadata):
			return fmt.Errorf("the metadata is %v, not %v", got.Metadata, want.Metadata)
		}
		return nil
	}
	if b.limits.MaxSingle > 0 {
		data := b.random(10)
		spec := described(sluice.FileSpec{Name: b.name + "/single", Size: int64(len(data))})
		if _, err := b.Backend.UploadFile(b.ctx, spec, b.singlePart(data)); err != nil {
			return fmt.Errorf("UploadFile: %w", err)
		}
		if err := compare(spec); err != nil {
			return fmt.Errorf("after UploadFile: %w", err)
		}
	}
	spec := described(b.spec(b.name + "/large"))
	d, err := b.startSpec(spec, 2)
	if err != nil {
		return err
	}
	receipts, err := d.uploadAll()
	if err != nil {
		return err
	}
	if err := d.finish(receipts); err != nil {
		return err
	}
	if err := compare(spec); err != nil {
		return fmt.Errorf("of a large file: %w", err)
	}
	return nil
}
