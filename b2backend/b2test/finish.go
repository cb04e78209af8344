package b2test

import "strings"

// finishLargeFile makes a file of the stored parts. The order of the checks up
// to the array's length is reported by live tests; that of the last three, and
// the texts for a wrong digest and for surplus parts, are uncertain.
func (x *exchange) finishLargeFile() (any, error) {
	digests := x.args.texts("partSha1Array")
	f, err := x.largeFile()
	if err != nil {
		return nil, err
	}
	if err := x.s.checkParts(f, digests); err != nil {
		return nil, err
	}
	f.action = actionUpload // under the id and the timestamp of its start (recorded)
	for number := range digests {
		p := f.parts[number+1]
		f.length += p.length
		f.content = append(f.content, p.content...)
	}
	f.parts = nil
	return x.fileObject(f), nil
}

// checkParts says what keeps f from being finished with the given digests. The lock is held.
func (s *Server) checkParts(f *file, digests []string) error {
	missing, mismatch := "missing_part", "part_sha1_mismatch"
	if s.opts.Uncertain.FinishBadRequest {
		missing, mismatch = "bad_request", "bad_request"
	}
	if len(digests) < 2 {
		return badRequest("large files must have at least 2 parts")
	}
	if len(digests) > maxParts {
		return badRequest("large files must have at most %d parts", maxParts)
	}
	for i := range digests {
		if f.parts[i+1] == nil {
			return badCode(missing, "Part number %d has not been uploaded", i+1)
		}
	}
	// whether the service refuses it, or drops the others, is uncertain
	if len(f.parts) > len(digests) {
		return badCode(mismatch, "%d parts are stored, %d are listed", len(f.parts), len(digests))
	}
	for i, digest := range digests {
		// A part sent with do_not_verify goes by the digest behind the prefix;
		// the prefix itself is no digest (uncertain).
		if strings.TrimPrefix(f.parts[i+1].sha1, "unverified:") != strings.ToLower(digest) {
			return badCode(mismatch, "Part number %d has a different sha1", i+1)
		}
	}
	for i := range len(digests) - 1 {
		if f.parts[i+1].length < s.opts.MinPartSize {
			return badRequest("Part number %d is smaller than %d bytes", i+1, s.opts.MinPartSize)
		}
	}
	return nil
}
