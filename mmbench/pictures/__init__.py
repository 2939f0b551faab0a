"""What a person looks at and listens to: drawings of clips, contact sheets, videos side by side."""
