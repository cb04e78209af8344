package b2test

import "time"

// retained reports whether retention still holds at that time.
func (p protection) retained(now time.Time) bool {
	return p.mode != "" && p.retainUntil > now.UnixMilli()
}

// updateRetention sets the retention of a version. What protects less than
// before takes bypassGovernance in governance mode, and is refused in compliance
// mode (documented; whether the status is 401 or 403 is uncertain).
func (x *exchange) updateRetention() (any, error) {
	a := x.args
	name, id, bypass := a.required("fileName"), a.required("fileId"), a.flag("bypassGovernance")
	mode, until := retentionField(a)
	if a.values["fileRetention"] == nil {
		a.fail(badRequest("required field fileRetention is missing"))
	}
	f, err := x.lockable(name, id)
	if err != nil {
		return nil, err
	}
	p := protection{mode: mode, retainUntil: until}
	if err := p.check(x.token.key, f.bucket); err != nil {
		return nil, err
	}
	if mode != "" && !p.retained(x.s.Now()) {
		return nil, badRequest("retainUntilTimestamp %d is not in the future", until)
	}
	stronger := mode == "compliance" || mode == f.mode
	if f.retained(x.s.Now()) && !(stronger && until >= f.retainUntil) {
		switch {
		case f.mode == "compliance":
			return nil, errAccessDenied("file is retained in compliance mode")
		case !bypass:
			return nil, errAccessDenied("file is retained in governance mode")
		case !x.token.key.may("bypassGovernance"):
			return nil, errUnauthorized()
		}
	}
	f.mode, f.retainUntil = mode, until
	return object{"fileId": id, "fileName": name, "fileRetention": f.retention()}, nil
}

// updateLegalHold sets the legal hold of a version.
func (x *exchange) updateLegalHold() (any, error) {
	name, id, hold := x.args.required("fileName"), x.args.required("fileId"), x.args.required("legalHold")
	f, err := x.lockable(name, id)
	if err != nil {
		return nil, err
	}
	if err := (protection{legalHold: hold}).check(x.token.key, f.bucket); err != nil {
		return nil, err
	}
	f.legalHold = hold
	return object{"fileId": id, "fileName": name, "legalHold": hold}, nil
}

// lockable finds the version whose protection a call sets, when all of its
// fields have been read.
func (x *exchange) lockable(name, id string) (*file, error) {
	if err := x.args.done(); err != nil {
		return nil, err
	}
	f, err := x.namedVersion(name, id)
	switch {
	case err != nil:
		return nil, err
	case f.action == actionHide:
		return nil, badRequest("%s is a hide marker", id)
	case !f.bucket.FileLock:
		return nil, badCode("bucket_missing_file_lock", "Bucket %s has no Object Lock", f.bucket.ID)
	}
	return f, nil
}
