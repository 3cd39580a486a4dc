"""The paper's five components: small modules that run and are tested without RecBole."""
