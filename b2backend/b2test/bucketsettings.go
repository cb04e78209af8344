package b2test

import "time"

// bucketSettings reads what create and update have in common into b.
func (x *exchange) bucketSettings(b *bucket) error {
	switch kind := x.args.optional("bucketType"); kind {
	case "":
	case "allPublic", "allPrivate":
		b.Public = kind == "allPublic"
	default:
		return badRequest("Invalid bucketType: %s", kind)
	}
	if info := x.args.stringMap("bucketInfo"); info != nil {
		b.info = object{}
		for key, value := range info {
			b.info[key] = value
		}
	}
	if rules := x.args.structure("lifecycleRules"); rules != nil {
		b.lifecycle = answerable(rules)
	}
	if rules := x.args.structure("corsRules"); rules != nil {
		b.cors = answerable(rules)
	}
	return x.guardedSettings(b)
}

// guardedSettings reads the settings that need a capability of their own
// (documented).
func (x *exchange) guardedSettings(b *bucket) error {
	a, may := x.args, x.token.key.may
	if a.get("fileLockEnabled") != nil {
		on := a.flag("fileLockEnabled")
		switch {
		case on != b.FileLock && !may("writeBucketRetentions"):
			return errUnauthorized()
		case b.FileLock && !on:
			return badRequest("Object Lock cannot be disabled")
		}
		b.FileLock = on
	}
	if a.get("defaultServerSideEncryption") != nil {
		if !may("writeBucketEncryption") {
			return errUnauthorized()
		}
		sse, err := fieldEncryption(a, "defaultServerSideEncryption")
		if err == nil && sse.mode == "SSE-C" {
			err = badRequest("SSE-C is no default of a bucket")
		}
		if err != nil {
			return err
		}
		b.sse = sse
	}
	if configuration := a.structure("replicationConfiguration"); configuration != nil {
		if !may("writeBucketReplications") {
			return errUnauthorized()
		}
		b.replication = answerable(configuration)
	}
	retention := a.object("defaultRetention")
	if retention == nil {
		return nil
	}
	if !may("writeBucketRetentions") {
		return errUnauthorized()
	}
	var err error
	b.retention, err = readDefaultRetention(retention, b)
	return err
}

// defaultRetention is the retention of versions that ask for none.
type defaultRetention struct {
	mode     string // governance, compliance, or "" for none
	duration int64
	unit     string // days or years
}

// readDefaultRetention reads the field of that name for b.
func readDefaultRetention(o *args, b *bucket) (defaultRetention, error) {
	d := defaultRetention{mode: o.optional("mode")}
	if period := o.object("period"); period != nil {
		d.duration, d.unit = period.number("duration", 0, 1, 36_500), period.optional("unit")
	}
	if err := o.done(); err != nil {
		return d, err
	}
	switch d.mode {
	case "":
		return defaultRetention{}, nil
	case "governance", "compliance":
	default:
		return d, badRequest("Invalid retention mode: %s", d.mode)
	}
	switch {
	case d.duration == 0 || d.unit != "days" && d.unit != "years":
		return d, badRequest("Invalid retention period: %d %s", d.duration, d.unit)
	case !b.FileLock:
		return d, badCode("bucket_missing_file_lock", "Bucket %s has no Object Lock", b.ID)
	}
	return d, nil
}

// until is how long a version of that time is retained.
func (d defaultRetention) until(uploaded time.Time) time.Time {
	if d.unit == "years" {
		return uploaded.AddDate(int(d.duration), 0, 0)
	}
	return uploaded.AddDate(0, 0, int(d.duration))
}

func (d defaultRetention) object() object {
	if d.mode == "" {
		return object{"mode": nil, "period": nil}
	}
	return object{"mode": d.mode, "period": object{"duration": d.duration, "unit": d.unit}}
}
