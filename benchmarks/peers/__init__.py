"""The jobs as their peers do them; each module imports its own tool and nothing of ours."""
