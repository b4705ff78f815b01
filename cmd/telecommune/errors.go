package main

// explain is the one line that stands for an error, with what to do next where that is known.
func explain(err error) string {
	for _, h := range hints {
		if h.of(err) {
			return oneLine(err.Error() + "; " + h.hint)
		}
	}
	return oneLine(err.Error())
}

// hints say what to do about errors of the domain.
var hints = []struct {
	of   func(error) bool
	hint string
}{}
